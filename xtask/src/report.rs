//! A page of `docs/` that is measured part by part: whoever measures one again replaces that section and leaves the others.

use std::fs;
use std::io::ErrorKind;

use anyhow::{Context, Result, ensure};

use crate::tools::root;

const HEADING: &str = "\n## ";

/// A page: where it is, its first lines up to the first section, and the headings of its sections, in order.
pub struct Report {
    /// Below the root.
    pub path: &'static str,
    /// With a heading of the first level.
    pub intro: String,
    /// Of the second level. Sections with another one are left out from now on.
    pub headings: Vec<String>,
}

impl Report {
    /// Puts the text of a section, which has no heading, in the place of what the page has there.
    pub fn put(&self, heading: &str, text: &str) -> Result<()> {
        let (path, old) = (root().join(self.path), self.text()?);
        fs::write(&path, self.with(&old, heading, text)?).with_context(|| format!("can't write {}", path.display()))?;
        eprintln!("wrote {heading} of {}", self.path);
        Ok(())
    }

    /// The page as it is; nothing where there is none.
    pub fn text(&self) -> Result<String> {
        let path = root().join(self.path);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
            read => read.with_context(|| format!("can't read {}", path.display())),
        }
    }

    fn with(&self, old: &str, heading: &str, text: &str) -> Result<String> {
        ensure!(self.headings.iter().any(|known| known == heading), "{heading} is no section of {}", self.path);
        let kept = |wanted: &str| {
            let sections = old.split(HEADING).skip(1);
            sections
                .filter_map(|section| section.split_once('\n'))
                .find(|(has, _)| *has == wanted)
                .map(|(_, text)| text)
        };
        let mut page = self.intro.trim_end().to_owned() + "\n";
        for known in &self.headings {
            let text = if known == heading { Some(text) } else { kept(known) };
            if let Some(text) = text {
                page += &format!("{HEADING}{known}\n\n{}\n", text.trim());
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_others_stay() {
        let report = |headings: &[&str]| Report {
            path: "page.md",
            intro: "# Page\n\nNew.\n".to_owned(),
            headings: headings.iter().map(|heading| (*heading).to_owned()).collect(),
        };
        let old = "# Page\n\nOld.\n\n## gone\n\n1\n\n## c\n\n### within\n\n2\n\n## a\n\n3\n";
        let page = report(&["a", "b", "c"]).with(old, "b", "4\n").unwrap();
        assert_eq!(page, "# Page\n\nNew.\n\n## a\n\n3\n\n## b\n\n4\n\n## c\n\n### within\n\n2\n");
        assert_eq!(report(&["a", "b", "c"]).with(&page, "a", "5").unwrap().lines().nth(6), Some("5"));
        assert_eq!(report(&["a"]).with("", "a", "6").unwrap(), "# Page\n\nNew.\n\n## a\n\n6\n");
        assert!(report(&["a"]).with("", "b", "7").is_err());
    }
}
