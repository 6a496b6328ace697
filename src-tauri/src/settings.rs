//! What this installation remembers besides its database: a small JSON file in the data folder. Nothing secret, and
//! nothing that couldn't be set again.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use specta::Type;

use crate::problem::{Problem, of_file};

const FILE_NAME: &str = "settings.json";
/// A file of this program is some hundred bytes; anything much larger is not one.
const MOST_BYTES: u64 = 64 * 1024;

/// The language of the screens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
pub enum Locale {
    #[serde(rename = "zh-CN")]
    ZhCn,
    #[serde(rename = "en")]
    En,
}

impl Locale {
    /// The machine's language, as far as this app speaks it. A machine that names none is a shop's.
    pub fn of_machine() -> Self {
        let named = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .filter_map(|name| std::env::var(name).ok())
            .find(|value| !value.is_empty());
        Self::of(named.as_deref().unwrap_or_default())
    }

    fn of(name: &str) -> Self {
        let unnamed = name.is_empty() || name == "POSIX" || name == "C" || name.starts_with("C.");
        if unnamed || name.starts_with("zh") {
            Self::ZhCn
        } else {
            Self::En
        }
    }
}

/// What ends a scan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum ScanEnd {
    #[default]
    Enter,
    /// The scanner sends nothing after the code.
    Silence,
}

/// What the scanner of this desk puts around each code.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct ScannerSettings {
    pub prefix: String,
    pub suffix: String,
    pub ends: ScanEnd,
}

impl ScannerSettings {
    /// Longest prefix or suffix, in characters; longer ones would be codes.
    const MOST: usize = 8;

    /// As far as a keyboard can type them, and no longer than [`Self::MOST`].
    pub fn sound(&self) -> Self {
        let sound = |text: &str| text.chars().filter(|c| !c.is_control()).take(Self::MOST).collect();
        Self {
            prefix: sound(&self.prefix),
            suffix: sound(&self.suffix),
            ends: self.ends,
        }
    }
}

/// Head office inside this app, and why it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Inside {
    SingleShop,
    Demo,
}

/// The file's content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Settings {
    pub locale: Locale,
    /// Set when head office runs inside this app.
    pub head_office: Option<Inside>,
    /// Where it listens on loopback; the counter knows it by this port.
    pub port: Option<u16>,
    pub scanner: ScannerSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            locale: Locale::of_machine(),
            head_office: None,
            port: None,
            scanner: ScannerSettings::default(),
        }
    }
}

/// The settings and where they are kept.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    settings: Mutex<Settings>,
}

impl Kept {
    /// Reads the file. One that doesn't read is set aside, not overwritten: the defaults hold until the next change.
    pub fn load(folder: &Path) -> Self {
        let path = folder.join(FILE_NAME);
        let settings = match read(&path) {
            Ok(settings) => settings.unwrap_or_default(),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "the settings do not read; the defaults hold");
                let _ = fs::rename(&path, path.with_extension("json.unreadable"));
                Settings::default()
            }
        };
        Self {
            folder: folder.to_owned(),
            settings: Mutex::new(settings),
        }
    }

    pub fn get(&self) -> Settings {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes them, on the disk first: what isn't kept isn't changed.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<Settings, Problem> {
        let mut settings = self.settings.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = settings.clone();
        change(&mut next);
        if next != *settings || !self.folder.join(FILE_NAME).exists() {
            write(&self.folder, &next).map_err(of_file("settings.json"))?;
            *settings = next.clone();
        }
        Ok(next)
    }
}

fn read(path: &Path) -> std::io::Result<Option<Settings>> {
    match fs::metadata(path) {
        Ok(about) if about.len() > MOST_BYTES => return Err(std::io::Error::other("too large")),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(serde_json::from_slice(&fs::read(path)?)?))
}

/// All or nothing: a new file, on the disk, under the old one's name.
fn write(folder: &Path, settings: &Settings) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let new = folder.join("settings.json.new");
    let mut file = File::create(&new)?;
    file.write_all(&serde_json::to_vec_pretty(settings)?)?;
    file.sync_all()?;
    fs::rename(&new, folder.join(FILE_NAME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::load(folder.path());
        kept.change(|settings| {
            settings.locale = Locale::En;
            settings.head_office = Some(Inside::Demo);
            settings.port = Some(40_000);
            settings.scanner.prefix = "~".into();
        })
        .unwrap();
        let text = fs::read_to_string(folder.path().join(FILE_NAME)).unwrap();
        assert!(text.contains("\"locale\": \"en\"") && text.contains("\"headOffice\": \"demo\""));
        let again = Kept::load(folder.path()).get();
        assert_eq!(again, kept.get());
        assert_eq!((again.locale, again.port), (Locale::En, Some(40_000)));
        assert_eq!(again.scanner.prefix, "~");
        assert!(!folder.path().join("settings.json.new").exists());
    }

    #[test]
    fn a_broken_file_is_set_aside_and_a_newer_one_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "{\"locale\": \"en").unwrap();
        assert_eq!(Kept::load(folder.path()).get(), Settings::default());
        assert_eq!(
            fs::read_to_string(folder.path().join("settings.json.unreadable")).unwrap(),
            "{\"locale\": \"en"
        );
        fs::write(&path, "{\"locale\": \"en\", \"theme\": \"dark\"}").unwrap();
        assert_eq!(Kept::load(folder.path()).get().locale, Locale::En);
    }

    #[test]
    fn what_a_scanner_adds_is_short_and_can_be_typed() {
        let typed = ScannerSettings {
            prefix: "\u{2}~~".into(),
            suffix: "0123456789".into(),
            ends: ScanEnd::Silence,
        };
        let sound = typed.sound();
        assert_eq!((sound.prefix.as_str(), sound.suffix.as_str()), ("~~", "01234567"));
        assert_eq!(sound.ends, ScanEnd::Silence);
        let older: Settings = serde_json::from_str("{\"locale\": \"en\"}").unwrap();
        assert_eq!(older.scanner, ScannerSettings::default());
    }

    #[test]
    fn what_cannot_be_kept_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::load(folder.path());
        // A folder of that name is in the way, also for root.
        fs::create_dir(folder.path().join("settings.json.new")).unwrap();
        let before = kept.get();
        assert!(kept.change(|settings| settings.port = Some(1)).is_err());
        assert_eq!(kept.get(), before);
    }

    #[test]
    fn the_machine_says_the_first_language() {
        for (name, locale) in [
            ("zh_CN.UTF-8", Locale::ZhCn),
            ("", Locale::ZhCn),
            ("C.UTF-8", Locale::ZhCn),
            ("en_GB.UTF-8", Locale::En),
            ("de_DE", Locale::En),
        ] {
            assert_eq!(Locale::of(name), locale);
        }
    }
}
