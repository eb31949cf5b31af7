//! What clients send that no driver would: bytes that are no protocol, messages out of order, and plain ones, byte by byte.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use arrow_array::{Float64Array, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use streamreel_lake::{Build, CommitNote, Delete, Lake, TableId, TableSpec};
use streamreel_sql::{Server, Settings};
use tempfile::TempDir;
use tokio::sync::oneshot;

/// A server over a lake of its own.
struct Running {
    addr: SocketAddr,
    lake: Lake,
    runtime: tokio::runtime::Runtime,
    stop: Option<oneshot::Sender<()>>,
    done: Option<tokio::task::JoinHandle<()>>,
    _folder: TempDir,
}

impl Running {
    /// Over a lake with a build.
    fn new(settings: Settings) -> Self {
        Self::over(&["a", "b"], settings)
    }

    /// Over a lake with a build of these videos; with none, over one without a build.
    fn over(videos: &[&str], settings: Settings) -> Self {
        let folder = TempDir::new().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let lake = Lake::open(folder.path().join("lake")).unwrap();
        let settings = Settings { addr: "127.0.0.1:0".parse().unwrap(), ..settings };
        if !videos.is_empty() {
            runtime.block_on(write(&lake, videos));
        }
        let server = runtime.block_on(Server::bind(lake.clone(), settings)).unwrap();
        let addr = server.local_addr();
        let (stop, stopped) = oneshot::channel::<()>();
        let done = runtime.spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self { addr, lake, runtime, stop: Some(stop), done: Some(done), _folder: folder }
    }

    fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.addr).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        socket
    }

    /// A session that has logged in.
    fn session(&self) -> TcpStream {
        let mut socket = self.connect();
        socket.write_all(&startup(&[("user", "ann"), ("database", "streamreel")])).unwrap();
        assert_eq!(last_kind(&until_ready(&mut socket)), b'Z');
        socket
    }

    /// The server still answers.
    fn check(&self) {
        let mut socket = self.session();
        let answers = ask(&mut socket, "select count(*) from gold.viewer_retention");
        assert!(answers.iter().any(|(kind, _)| *kind == b'D'), "{answers:?}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
        let done = self.done.take().unwrap();
        let ended = self.runtime.block_on(async { tokio::time::timeout(Duration::from_secs(10), done).await });
        if !std::thread::panicking() {
            ended.expect("the server stops").expect("and does not panic");
        }
    }
}

/// Makes `gold.viewer_retention` of these videos and publishes it.
async fn write(lake: &Lake, videos: &[&str]) {
    let schema = Arc::new(Schema::new(vec![
        Field::new("video_id", DataType::Utf8, true),
        Field::new("total_views", DataType::Int64, true),
        Field::new("avg_retention", DataType::Float64, true),
    ]));
    let id = TableId::gold("viewer_retention");
    let mut table = lake.create(&TableSpec::new(id.clone(), Arc::clone(&schema))).await.unwrap();
    let rows = i64::try_from(videos.len()).unwrap();
    let batch = RecordBatch::try_new(
        schema,
        vec![
            Arc::new(StringArray::from(videos.to_vec())),
            Arc::new(Int64Array::from_iter_values(0..rows)),
            Arc::new(Float64Array::from_iter_values((0..rows).map(|row| row as f64 / 2.0))),
        ],
    );
    let mut writer = table.writer();
    writer.write(batch.unwrap()).await.unwrap();
    let written = writer.finish().await.unwrap();
    let version = table.commit(Delete::All, written, CommitNote::new("test")).await.unwrap();
    let build = Build {
        build_id: format!("build-{version}"),
        finished_at: version,
        versions: [(id, version)].into(),
        bronze_version: -1,
        offsets: Default::default(),
        counts: Default::default(),
    };
    lake.publish(&build).await.unwrap();
}

fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = 196_608_u32.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
    }
    body.push(0);
    let mut packet = (u32::try_from(body.len()).unwrap() + 4).to_be_bytes().to_vec();
    packet.extend(body);
    packet
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = vec![kind];
    message.extend((u32::try_from(body.len()).unwrap() + 4).to_be_bytes());
    message.extend_from_slice(body);
    message
}

fn query(sql: &str) -> Vec<u8> {
    message(b'Q', format!("{sql}\0").as_bytes())
}

/// One message; `None`: the server has closed the connection.
fn next(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    let mut got = 0;
    while got < head.len() {
        match socket.read(&mut head[got..]) {
            Ok(0) => return None,
            Ok(more) => got += more,
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(error) => panic!("{error}"),
        }
    }
    let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
    let mut body = vec![0; length - 4];
    socket.read_exact(&mut body).unwrap();
    Some((head[0], body))
}

/// Messages until the server is ready for the next query, or has closed the connection.
fn until_ready(socket: &mut TcpStream) -> Vec<(u8, Vec<u8>)> {
    let mut messages = Vec::new();
    while let Some(message) = next(socket) {
        let ready = message.0 == b'Z';
        messages.push(message);
        if ready {
            break;
        }
    }
    messages
}

fn ask(socket: &mut TcpStream, sql: &str) -> Vec<(u8, Vec<u8>)> {
    socket.write_all(&query(sql)).unwrap();
    until_ready(socket)
}

fn kinds(messages: &[(u8, Vec<u8>)]) -> String {
    messages.iter().map(|(kind, _)| char::from(*kind)).collect()
}

fn last_kind(messages: &[(u8, Vec<u8>)]) -> u8 {
    messages.last().map_or(0, |(kind, _)| *kind)
}

/// SQLSTATE and severity of the error among messages.
fn error_of(messages: &[(u8, Vec<u8>)]) -> Option<(String, String)> {
    let (_, body) = messages.iter().find(|(kind, _)| *kind == b'E')?;
    let field = |of: u8| {
        let fields = body.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        fields.filter(|field| field[0] == of).map(|field| String::from_utf8_lossy(&field[1..]).into_owned()).next()
    };
    Some((field(b'C')?, field(b'S')?))
}

fn first_column(messages: &[(u8, Vec<u8>)]) -> Vec<String> {
    let rows = messages.iter().filter(|(kind, _)| *kind == b'D');
    rows.map(|(_, body)| {
        let length = u32::from_be_bytes([body[2], body[3], body[4], body[5]]) as usize;
        String::from_utf8(body[6..6 + length].to_vec()).unwrap()
    })
    .collect()
}

#[test]
fn what_opens_no_session_is_closed() {
    let server = Running::new(Settings { authentication_timeout: Duration::from_millis(500), ..Settings::default() });
    let mut endless = vec![0, 0, 0, 12];
    endless.extend_from_slice(&80_877_103_u32.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("zeros", vec![0; 1000]),
        ("a huge length", vec![0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("a negative length", vec![0xff, 0xff, 0xff, 0xff, 0, 3, 0, 0]),
        ("a length that is too short", vec![0, 0, 0, 4, 0, 3, 0, 0]),
        ("another version", {
            let mut packet = startup(&[("user", "ann")]);
            packet[5] = 2;
            packet
        }),
        ("parameters without an end", vec![0, 0, 0, 12, 0, 3, 0, 0, b'u', b's', b'e', b'r']),
        ("no user", startup(&[])),
        ("a TLS handshake", vec![0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0]),
        ("an SSL request of another length", endless),
        ("a cancel request that is too short", {
            let mut packet = vec![0, 0, 0, 8];
            packet.extend_from_slice(&80_877_102_u32.to_be_bytes());
            packet
        }),
        ("a cancel request for nobody", {
            let mut packet = vec![0, 0, 0, 16];
            packet.extend_from_slice(&80_877_102_u32.to_be_bytes());
            packet.extend_from_slice(&[0; 8]);
            packet
        }),
        ("nothing", Vec::new()),
    ];
    for (what, bytes) in cases {
        let mut socket = server.connect();
        socket.write_all(&bytes).unwrap();
        let answers = until_ready(&mut socket);
        assert_ne!(last_kind(&answers), b'Z', "{what}: {answers:?}");
    }
    server.check();
}

#[test]
fn encryption_that_is_not_there_is_refused_politely() {
    let server = Running::new(Settings::default());
    let mut socket = server.connect();
    for code in [80_877_104_u32, 80_877_103] {
        socket.write_all(&8_u32.to_be_bytes()).unwrap();
        socket.write_all(&code.to_be_bytes()).unwrap();
        let mut answer = [0];
        socket.read_exact(&mut answer).unwrap();
        assert_eq!(answer, *b"N");
    }
    socket.write_all(&startup(&[("user", "ann")])).unwrap();
    assert_eq!(last_kind(&until_ready(&mut socket)), b'Z');
    assert_eq!(first_column(&ask(&mut socket, "select 'here'")), ["here"]);
}

#[test]
fn a_message_that_is_none_ends_its_session_only() {
    let server = Running::new(Settings::default());
    let mut huge = message(b'Q', b"");
    huge[1..5].copy_from_slice(&0x4000_0000_u32.to_be_bytes());
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("an unknown type", message(b'?', b"")),
        ("a length of 1 GiB", huge),
        ("a length of 0", vec![b'Q', 0, 0, 0, 0]),
        ("a query without an end", message(b'Q', b"select 1")),
        ("a query with something after its end", message(b'Q', b"select 1\0\0")),
        ("a Bind that says more than it holds", message(b'B', b"\0\0\0\0\xff\xff")),
        ("a Parse that says more than it holds", message(b'P', b"\0select 1\0\x00\x05")),
        ("an Execute without a number", message(b'E', b"\0")),
        ("a function call", message(b'F', b"\0\0\0\x01\0\0\0\0\0\0")),
    ];
    for (what, bytes) in cases {
        let mut socket = server.session();
        socket.write_all(&bytes).unwrap();
        let answers = until_ready(&mut socket);
        assert_eq!(error_of(&answers), Some(("08P01".to_owned(), "FATAL".to_owned())), "{what}: {answers:?}");
        assert_eq!(next(&mut socket), None, "{what}: the connection is closed");
    }
    server.check();
}

/// Random bytes in messages of every type, always the same ones.
#[test]
fn noise_is_survived() {
    let server = Running::new(Settings::default());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    for _ in 0..300 {
        let mut socket = server.session();
        for _ in 0..4 {
            let kind = b"QPBDECHSXdcfp"[usize::try_from(random() % 13).unwrap()];
            let body: Vec<u8> = (0..random() % 40).map(|_| random().to_be_bytes()[0]).collect();
            // The server may have closed it by now.
            let _ = socket.write_all(&message(kind, &body));
        }
        let _ = socket.write_all(&message(b'S', b""));
        while next(&mut socket).is_some_and(|(kind, _)| kind != b'Z') {}
    }
    server.check();
}

#[test]
fn after_an_error_messages_are_skipped_until_sync() {
    let server = Running::new(Settings::default());
    let mut socket = server.session();
    let bind = message(b'B', b"\0\0\0\0\0\0\0\0");
    let execute = message(b'E', b"\0\0\0\0\0");
    let sync = message(b'S', b"");
    let all =
        [message(b'P', b"\0select nothing\0\0\0"), bind.clone(), execute.clone(), query("select 1"), sync.clone()]
            .concat();
    socket.write_all(&all).unwrap();
    let answers = until_ready(&mut socket);
    assert_eq!(kinds(&answers), "EZ", "{answers:?}");
    assert_eq!(error_of(&answers).unwrap().0, "42703");

    let all =
        [message(b'P', b"\0select 1\0\0\0"), bind, message(b'D', b"P\0"), execute.clone(), execute, sync].concat();
    socket.write_all(&all).unwrap();
    let answers = until_ready(&mut socket);
    assert_eq!(kinds(&answers), "12TDCCZ", "the second time there is nothing left: {answers:?}");
}

#[test]
fn what_is_not_there_is_named() {
    let server = Running::new(Settings::default());
    let sync = message(b'S', b"");
    let cases: [(&str, Vec<u8>, &str); 7] = [
        ("Bind to no statement", message(b'B', b"\0nothing\0\0\0\0\0\0\0"), "26000"),
        ("Execute no portal", message(b'E', b"nothing\0\0\0\0\0"), "34000"),
        ("Describe no statement", message(b'D', b"Snothing\0"), "26000"),
        ("Describe no portal", message(b'D', b"Pnothing\0"), "34000"),
        ("Describe something else", message(b'D', b"X\0"), "08P01"),
        ("two statements in one", message(b'P', b"\0select 1; select 2\0\0\0"), "42601"),
        (
            "formats for more columns than there are",
            [message(b'P', b"\0select 1\0\0\0"), message(b'B', b"\0\0\0\0\0\0\0\x03\0\0\0\0\0\0")].concat(),
            "08P01",
        ),
    ];
    let mut socket = server.session();
    for (what, bytes, code) in cases {
        socket.write_all(&[bytes, sync.clone()].concat()).unwrap();
        let answers = until_ready(&mut socket);
        assert_eq!(error_of(&answers), Some((code.to_owned(), "ERROR".to_owned())), "{what}: {answers:?}");
    }
    // Closing what is not there is no error.
    socket.write_all(&[message(b'C', b"Snothing\0"), message(b'C', b"Pnothing\0"), sync].concat()).unwrap();
    assert_eq!(kinds(&until_ready(&mut socket)), "33Z");
}

#[test]
fn a_result_is_taken_in_parts() {
    let server = Running::new(Settings::default());
    let mut socket = server.session();
    let parse = message(b'P', b"s\0select video_id from gold.viewer_retention order by 1\0\0\0");
    let bind = message(b'B', b"p\0s\0\0\0\0\0\0\0");
    let one = message(b'E', b"p\0\0\0\0\x01");
    let all = [query("begin"), parse, bind, one.clone(), one.clone(), one, message(b'S', b"")].concat();
    socket.write_all(&all).unwrap();
    assert_eq!(kinds(&until_ready(&mut socket)), "CZ");
    let answers = until_ready(&mut socket);
    assert_eq!(kinds(&answers), "12DsDsCZ", "{answers:?}");
    assert_eq!(first_column(&answers), ["a", "b"]);
    // It ends with its transaction.
    assert_eq!(kinds(&ask(&mut socket, "commit")), "CZ");
    socket.write_all(&[message(b'E', b"p\0\0\0\0\x01"), message(b'S', b"")].concat()).unwrap();
    assert_eq!(error_of(&until_ready(&mut socket)).unwrap().0, "34000");
}

#[test]
fn a_build_is_read_once_it_is_published_and_never_within_a_transaction() {
    let server = Running::new(Settings::default());
    let (mut inside, mut outside) = (server.session(), server.session());
    let videos = "select video_id from gold.viewer_retention order by 1";
    ask(&mut inside, "begin");
    assert_eq!(first_column(&ask(&mut inside, videos)), ["a", "b"]);
    server.runtime.block_on(write(&server.lake, &["c"]));
    assert_eq!(first_column(&ask(&mut inside, videos)), ["a", "b"]);
    assert_eq!(first_column(&ask(&mut outside, videos)), ["c"]);
    ask(&mut inside, "rollback");
    assert_eq!(first_column(&ask(&mut inside, videos)), ["c"]);
    // All statements of one text read the same.
    server.runtime.block_on(write(&server.lake, &["d"]));
    assert_eq!(first_column(&ask(&mut inside, &format!("{videos}; {videos}"))), ["d", "d"]);
}

#[test]
fn a_lake_without_a_build_is_served() {
    let server = Running::over(&[], Settings::default());
    let mut socket = server.session();
    let count = "select count(*) from information_schema.tables";
    assert_eq!(first_column(&ask(&mut socket, count)), ["0"]);
    assert_eq!(error_of(&ask(&mut socket, "select * from gold.viewer_retention")).unwrap().0, "42P01");
    server.runtime.block_on(write(&server.lake, &["a"]));
    assert_eq!(first_column(&ask(&mut socket, "select video_id from viewer_retention")), ["a"]);
    assert_eq!(first_column(&ask(&mut socket, count)), ["2"], "it and gold.builds");
}

#[test]
fn the_newest_state_is_opened_once_for_all() {
    let server = Running::new(Settings::default());
    let mut socket = server.session();
    let began = std::time::Instant::now();
    for _ in 0..200 {
        assert_eq!(first_column(&ask(&mut socket, "select count(*) from gold.viewer_retention")), ["2"]);
    }
    let each = began.elapsed() / 200;
    assert!(each < Duration::from_millis(50), "a small query took {each:?}");
}
