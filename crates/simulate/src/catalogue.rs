//! The videos: the sample catalogue or another CSV, and titles invented beyond it.

use hashbrown::HashSet;

use crate::dice::mix;
use crate::error::Error;

/// The sample catalogue of the repository.
const SAMPLE: &str = include_str!("../../../metadata/video_metadata.csv");

/// Longest duration that the wire format can carry a position of.
const MOST_DURATION_S: f64 = 999_999.0;

/// A catalogue of videos as its CSV says: at least `video_id` and `duration_s`, any further columns.
#[derive(Clone, Debug)]
pub struct Catalogue {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    durations_ms: Vec<u32>,
    id_column: usize,
}

impl Catalogue {
    /// Reads CSV with a header line.
    ///
    /// # Errors
    /// [`Error::CatalogueCsv`], [`Error::CatalogueColumn`], [`Error::CatalogueRow`], [`Error::CatalogueTwice`] and
    /// [`Error::CatalogueEmpty`].
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns: Vec<String> = reader.headers()?.iter().map(str::to_owned).collect();
        let find = |name| columns.iter().position(|column| column == name).ok_or(Error::CatalogueColumn(name));
        let (id_column, duration_column) = (find("video_id")?, find("duration_s")?);
        let (mut rows, mut durations_ms, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let (id, duration) = (&record[id_column], &record[duration_column]);
            let wrong =
                |column, value: &str, wanted| Error::CatalogueRow { line, column, value: value.to_owned(), wanted };
            if id.is_empty() || id.len() > 128 || id.contains(['"', '\\']) || id.contains(char::is_control) {
                return Err(wrong(
                    "video_id",
                    id,
                    "give 1 to 128 bytes without quotes, backslashes or control characters",
                ));
            }
            if !seen.insert(id.to_owned()) {
                return Err(Error::CatalogueTwice { line, video_id: id.to_owned() });
            }
            let ms = milliseconds(duration).ok_or_else(|| {
                wrong("duration_s", duration, "give seconds from 1 to 999999 with at most three decimals")
            })?;
            durations_ms.push(ms);
            rows.push(record.iter().map(str::to_owned).collect());
        }
        if rows.is_empty() {
            return Err(Error::CatalogueEmpty);
        }
        Ok(Self { columns, rows, durations_ms, id_column })
    }

    /// The sample catalogue of the repository.
    ///
    /// # Errors
    /// None, as long as the sample is a valid catalogue, which a test sees to.
    pub fn sample() -> Result<Self, Error> {
        Self::parse(SAMPLE)
    }

    /// Number of videos.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Never true: a catalogue has at least one row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The first `videos` titles; beyond the catalogue, invented ones.
    pub(crate) fn titles(&self, videos: usize, seed: u64) -> Titles {
        let mut titles =
            Titles { ids: Vec::new(), durations_ms: Vec::new(), columns: self.columns.clone(), rows: Vec::new() };
        for (row, duration_ms) in self.rows.iter().zip(&self.durations_ms).take(videos) {
            titles.push(row[self.id_column].clone(), *duration_ms, row.clone());
        }
        let taken: HashSet<&str> = self.rows.iter().map(|row| row[self.id_column].as_str()).collect();
        let mut number = self.rows.len() as u64;
        while titles.ids.len() < videos {
            number += 1;
            let invented = Invented::new(seed, number);
            if !taken.contains(invented.id.as_str()) {
                let row = self.columns.iter().map(|column| invented.column(column)).collect();
                titles.push(invented.id, invented.duration_ms, row);
            }
        }
        titles
    }
}

/// Seconds as written, in milliseconds; `None` unless they are whole milliseconds.
fn milliseconds(text: &str) -> Option<u32> {
    let seconds: f64 = text.parse().ok()?;
    if !(1.0..=MOST_DURATION_S).contains(&seconds) {
        return None;
    }
    let ms = (seconds * 1_000.0).round();
    (ms / 1_000.0 == seconds).then_some(ms as u32)
}

/// The videos of one simulation.
pub(crate) struct Titles {
    pub ids: Vec<String>,
    pub durations_ms: Vec<u32>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Titles {
    fn push(&mut self, id: String, duration_ms: u32, row: Vec<String>) {
        self.ids.push(id);
        self.durations_ms.push(duration_ms);
        self.rows.push(row);
    }

    /// All titles as CSV, with the columns of the catalogue.
    pub fn csv(&self) -> String {
        let mut text = String::new();
        for row in std::iter::once(&self.columns).chain(&self.rows) {
            for (index, value) in row.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                quote(value, &mut text);
            }
            text.push('\n');
        }
        text
    }
}

fn quote(value: &str, text: &mut String) {
    if value.contains(['"', ',', '\n', '\r']) {
        text.push('"');
        text.push_str(&value.replace('"', "\"\""));
        text.push('"');
    } else {
        text.push_str(value);
    }
}

const FIRST: [&str; 16] = [
    "Silent", "Northern", "Second", "Paper", "Electric", "Hidden", "Slow", "Golden", "Broken", "Distant", "Open",
    "Winter", "Salt", "Hollow", "Bright", "Last",
];
const SECOND: [&str; 16] = [
    "Harbour", "Kitchens", "Machines", "Rivers", "Letters", "Orbit", "Market", "Garden", "Signals", "Summit",
    "Workshop", "Archive", "Coast", "Engine", "Season", "Line",
];
const CREATORS: [&str; 8] = [
    "Tidewater Films",
    "Ada Lindqvist",
    "Long Exposure",
    "Kitchen Physics",
    "Marrow & Pine",
    "Studio Okonjo",
    "Field Notes",
    "Half Past Nine",
];
const GENRES: [&str; 8] = ["Documentary", "Drama", "Comedy", "Education", "Sports", "Music", "Travel", "Technology"];
const LANGUAGES: [&str; 6] = ["en", "de", "es", "hi", "ja", "pt"];

/// A title that is in no catalogue.
struct Invented {
    id: String,
    number: u64,
    lot: u64,
    duration_ms: u32,
}

impl Invented {
    fn new(seed: u64, number: u64) -> Self {
        let lot = mix(mix(seed ^ 0x71_7135) ^ number);
        // many short ones and a few long ones
        let most_s = [180, 420, 900, 1_500, 3_000][(lot % 5) as usize];
        let duration_ms = (30_000 + mix(lot) % (most_s * 100) * 10) as u32;
        Self { id: format!("v{number:05}"), number, lot, duration_ms }
    }

    fn column(&self, column: &str) -> String {
        let pick = |list: &[&'static str], shift: u32| list[(self.lot >> shift) as usize % list.len()];
        match column {
            "video_id" => self.id.clone(),
            "title" => format!("{} {} #{}", pick(&FIRST, 4), pick(&SECOND, 10), self.number),
            "creator" => pick(&CREATORS, 16).to_owned(),
            "genre" => pick(&GENRES, 22).to_owned(),
            "language" => pick(&LANGUAGES, 28).to_owned(),
            "kids_safe" => ["no", "yes"][(self.lot >> 60) as usize % 2].to_owned(),
            "duration_s" => format!("{}", f64::from(self.duration_ms) / 1_000.0),
            "published_at" => {
                let day = 18_262 + (self.lot >> 32) % 2_190; // 2020-01-01 and six years on
                format!("{}T{:02}:00:00Z", crate::wire::date(day as i64), (self.lot >> 50) % 24)
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Catalogue;

    #[test]
    fn the_sample_is_a_catalogue() {
        let sample = Catalogue::sample().unwrap();
        assert!(sample.len() >= 50, "{}", sample.len());
        let again = Catalogue::parse(&sample.titles(sample.len(), 1).csv()).unwrap();
        assert_eq!(sample.rows, again.rows);
    }

    #[test]
    fn titles_beyond_the_catalogue_are_invented() {
        let sample = Catalogue::sample().unwrap();
        let more = Catalogue::parse(&sample.titles(500, 7).csv()).unwrap();
        assert_eq!(more.len(), 500);
        assert_eq!(more.rows[..sample.len()], sample.rows[..]);
        assert!(more.rows.iter().all(|row| row.iter().all(|value| !value.is_empty())));
        assert_eq!(sample.titles(3, 7).ids.len(), 3);
    }

    #[test]
    fn a_wrong_catalogue_says_what_is_wrong() {
        for (text, wanted) in [
            ("video_id,title\nv1,T\n", "no column `duration_s`"),
            ("video_id,duration_s\n", "no rows"),
            ("video_id,duration_s\nv1,ten\n", "line 2 of the video catalogue: duration_s is `ten`"),
            ("video_id,duration_s\nv1,10.0005\n", "at most three decimals"),
            ("video_id,duration_s\nv1,-3\n", "line 2"),
            ("video_id,duration_s\n,10\n", "video_id is ``"),
            ("video_id,duration_s\nv1,10\nv1,20\n", "line 3 of the video catalogue: video `v1` is there twice"),
            ("video_id,duration_s\nv1,10,3\n", "can't be read as CSV"),
        ] {
            let error = Catalogue::parse(text).unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
