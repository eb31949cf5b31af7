//! Who may come in: passwords by SCRAM-SHA-256, encryption, and what a client is told at the door.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::Read,
    path::Path,
    sync::Arc,
};

use datafusion_postgres::pgwire::{
    api::{
        ClientInfo, ConnectionManager, PgWireConnectionState, PidSecretKeyGenerator, RandomPidSecretKeyGenerator,
        auth::{
            AuthSource, ServerParameterProvider, StartupHandler, finish_authentication, protocol_negotiation,
            sasl::{SASLAuthStartupHandler, scram::ScramAuth},
            save_startup_parameters_to_metadata,
        },
    },
    error::PgWireResult,
    messages::{PgWireFrontendMessage, startup::Startup},
    tokio::{
        TlsAcceptor,
        tokio_rustls::rustls::{
            self, ServerConfig,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        },
    },
};

use crate::{
    codec::Broken,
    error::{Error, Result},
    failure::{Failure, Outcome, code},
    settings::{Settings, Tls},
    users::Users,
    variables::Variables,
    wire::Wire,
};

/// Larger than any certificate chain, in bytes.
const LARGEST_PEM: u64 = 1 << 20;

/// How clients are let in.
pub(crate) struct Door {
    users: Option<Arc<Users>>,
    pub(crate) tls: Option<TlsAcceptor>,
    certificate: Vec<u8>,
    /// Whether a session must be encrypted.
    encrypted_only: bool,
    pids: Arc<RandomPidSecretKeyGenerator>,
    pub(crate) sessions: Arc<ConnectionManager>,
}

impl Door {
    /// Refuses settings under which anybody on the network could come in.
    pub(crate) fn new(settings: &Settings) -> Result<Self> {
        let exposed = !settings.addr.ip().is_loopback();
        let missing = match (settings.users.is_empty(), settings.tls.is_none()) {
            (true, true) => Some("a password and TLS"),
            (true, false) => Some("a password"),
            (false, true) => Some("TLS"),
            (false, false) => None,
        };
        if let (true, Some(missing)) = (exposed, missing) {
            return Err(Error::Exposed { addr: settings.addr, missing });
        }
        let (tls, certificate) = match &settings.tls {
            Some(tls) => acceptor(tls).map(|(tls, certificate)| (Some(tls), certificate))?,
            None => (None, Vec::new()),
        };
        Ok(Self {
            users: Users::new(&settings.users)?.map(Arc::new),
            tls,
            certificate,
            encrypted_only: exposed,
            pids: Arc::default(),
            sessions: Arc::new(ConnectionManager::new()),
        })
    }

    /// Lets a client in: it has proved who it is, and may send statements.
    pub(crate) async fn let_in(
        &self,
        wire: &mut Wire,
        startup: Startup,
        settings: &Settings,
    ) -> Result<Outcome<Variables>, Broken> {
        if self.encrypted_only && !wire.is_secure() {
            let refused = Failure::fatal(code::INVALID_AUTHORIZATION, "the connection is not encrypted");
            return Ok(Err(refused.hint("Connect with TLS: sslmode=require, or better sslmode=verify-full.")));
        }
        let variables = match of_startup(&startup.parameters, settings) {
            Ok(variables) => variables,
            Err(failure) => return Ok(Err(Failure { fatal: true, ..failure })),
        };
        let parameters = Parameters(variables.clone());
        let shaken = match &self.users {
            Some(users) => self.scram(wire, startup, users, parameters).await?,
            None => self.trust(wire, &startup, &parameters).await.map_err(Failure::from),
        };
        if shaken.is_ok() {
            wire.trust();
        }
        Ok(shaken.map(|()| variables))
    }

    async fn trust(&self, wire: &mut Wire, startup: &Startup, parameters: &Parameters) -> PgWireResult<()> {
        protocol_negotiation(wire, startup).await?;
        save_startup_parameters_to_metadata(wire, startup);
        let (pid, key) = self.pids.generate(wire);
        wire.set_pid_and_secret_key(pid, key.clone());
        let (handle, guard) = self.sessions.register(pid, key);
        wire.session_extensions().insert(handle);
        wire.session_extensions().insert(guard);
        finish_authentication(wire, parameters).await
    }

    async fn scram(
        &self,
        wire: &mut Wire,
        startup: Startup,
        users: &Arc<Users>,
        parameters: Parameters,
    ) -> Result<Outcome, Broken> {
        let mut scram = ScramAuth::new(Arc::clone(users) as Arc<dyn AuthSource>);
        if wire.is_secure()
            && let Err(error) = scram.configure_certificate(&self.certificate)
        {
            tracing::debug!(%error, "no channel binding with this certificate");
        }
        let handler = SASLAuthStartupHandler::new(Arc::new(parameters))
            .with_scram(scram)
            .with_pid_secret_key_generator(Arc::clone(&self.pids) as Arc<dyn PidSecretKeyGenerator>)
            .with_connection_manager(Arc::clone(&self.sessions));
        let mut message = PgWireFrontendMessage::Startup(startup);
        loop {
            if let Err(error) = handler.on_startup(wire, message).await {
                return Ok(Err(Failure { fatal: true, ..Failure::from(error) }));
            }
            if matches!(wire.state(), PgWireConnectionState::ReadyForQuery) {
                return Ok(Ok(()));
            }
            message = match wire.next().await? {
                Some(message @ PgWireFrontendMessage::PasswordMessageFamily(_)) => message,
                Some(PgWireFrontendMessage::Terminate(_)) | None => {
                    return Err(Broken::Protocol("the client left before it had logged in".to_owned()));
                }
                Some(_) => return Err(Broken::Protocol("a message before the login".to_owned())),
            };
        }
    }
}

/// The settings that a client is told when it has come in.
struct Parameters(Variables);

impl ServerParameterProvider for Parameters {
    fn server_parameters<C: ClientInfo>(&self, _: &C) -> Option<HashMap<String, String>> {
        Some(self.0.reported().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }
}

/// The settings that a start-up message asks for. Those that mean nothing here are passed over.
fn of_startup(startup: &BTreeMap<String, String>, settings: &Settings) -> Outcome<Variables> {
    let user = startup.get("user").map(String::as_str).unwrap_or_default();
    let mut variables = Variables::new(user, settings.statement_timeout, settings.idle_in_transaction_timeout);
    let mut set = |name: &str, value: &str| match variables.set(name, Some(value)) {
        Err(failure) if failure.code == code::UNDEFINED_OBJECT => {
            tracing::debug!(name, "a start-up setting that is not known");
            Ok(())
        }
        set => set.map(|_| ()),
    };
    for (name, value) in startup {
        match name.as_str() {
            "user" | "database" | "replication" => {}
            "options" => options(value)?.iter().try_for_each(|(name, value)| set(name, value))?,
            name => set(name, value)?,
        }
    }
    Ok(variables)
}

/// `-c name=value`, `--name=value`.
fn options(text: &str) -> Outcome<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let setting = match word {
            "-c" => words.next(),
            word => word.strip_prefix("-c").or_else(|| word.strip_prefix("--")),
        };
        let Some((name, value)) = setting.and_then(|setting| setting.split_once('=')) else {
            let what = format!("invalid command-line argument for server process: {word}");
            return Err(Failure::fatal(code::SYNTAX, what));
        };
        found.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(found)
}

fn acceptor(tls: &Tls) -> Result<(TlsAcceptor, Vec<u8>)> {
    let wrong = |path: &Path, what: String| Error::Tls { path: path.to_owned(), what };
    let pem = read_pem(&tls.certificate)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| wrong(&tls.certificate, format!("no PEM certificate: {error}")))?;
    if chain.is_empty() {
        return Err(wrong(&tls.certificate, "has no PEM certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&read_pem(&tls.key)?);
    let key = key.map_err(|error| wrong(&tls.key, format!("no PEM private key: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(&tls.certificate, format!("can't be used with {}: {error}", tls.key.display())))?;
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), pem))
}

fn read_pem(path: &Path) -> Result<Vec<u8>> {
    let wrong = |error: std::io::Error| Error::Tls { path: path.to_owned(), what: format!("can't be read: {error}") };
    let mut pem = Vec::new();
    File::open(path).map_err(wrong)?.take(LARGEST_PEM).read_to_end(&mut pem).map_err(wrong)?;
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::User;

    #[test]
    fn an_address_that_others_reach_needs_password_and_tls() {
        let user = User { name: "ann".to_owned(), password: "secret".to_owned() };
        let tls = Tls { certificate: "no.crt".into(), key: "no.key".into() };
        let cases = [
            ("127.0.0.1:0", vec![], None, None),
            ("[::1]:0", vec![], None, None),
            ("0.0.0.0:0", vec![], None, Some("a password and TLS")),
            ("192.168.1.1:0", vec![user.clone()], None, Some("TLS")),
            ("[::]:0", vec![], Some(tls), Some("a password")),
        ];
        for (addr, users, tls, expected) in cases {
            let settings = Settings { addr: addr.parse().unwrap(), users, tls, ..Settings::default() };
            let missing = match Door::new(&settings) {
                Err(Error::Exposed { missing, .. }) => Some(missing),
                Err(error) => panic!("{addr}: {error}"),
                Ok(_) => None,
            };
            assert_eq!(missing, expected, "{addr}");
        }
    }

    #[test]
    fn options_of_the_start_up_message_are_settings() {
        let startup = BTreeMap::from([
            ("user".to_owned(), "ann".to_owned()),
            ("options".to_owned(), "-c statement_timeout=2s --extra-float-digits=3 -cjit=on".to_owned()),
            ("application_name".to_owned(), "test".to_owned()),
        ]);
        let variables = of_startup(&startup, &Settings::default()).unwrap();
        let get = |name: &str| variables.get(name).unwrap();
        assert_eq!([get("statement_timeout"), get("extra_float_digits"), get("jit")], ["2s", "3", "on"]);
        assert_eq!([get("application_name"), get("session_authorization")], ["test", "ann"]);
        assert!(options("-x").is_err());
    }
}
