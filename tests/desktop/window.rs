//! A window of the counter app and what a person can do to it. Whoever looks waits, with a deadline.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use counterfoil_tests::{driver::Driver, program};
use fantoccini::{
    Client, ClientBuilder, Locator,
    actions::{InputSource as _, KeyAction, KeyActions},
    elements::Element,
    key::Key,
};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Map, Value, json};
use tokio::sync::{Mutex, MutexGuard};

/// For every wait. Generous: the machine may be compiling beside it.
const PATIENCE: Duration = Duration::from_secs(60);
/// From then on an Enter is a person's.
const AFTER_SCAN: Duration = Duration::from_millis(600);
const GLANCE: Duration = Duration::from_millis(50);
/// One window at a time has the screen, and with it the focus.
static SCREEN: Mutex<()> = Mutex::const_new(());

/// The app, its driver and the language it is to speak.
pub struct Window {
    pub client: Client,
    words: Map<String, Value>,
    screens: PathBuf,
    language: &'static str,
    driver: Driver,
    scanned: Cell<Option<Instant>>,
    _screen: MutexGuard<'static, ()>,
}

impl Window {
    /// Starts the app on this data folder, on a machine that speaks `machine` (a POSIX locale).
    pub async fn open(folder: &Path, language: &'static str, machine: &str) -> Self {
        let screen = SCREEN.lock().await;
        let driver = Driver::start(machine);
        let options = json!({"application": program("counterfoil"), "args": ["--data-dir", folder]});
        let capabilities = Map::from_iter([("tauri:options".to_owned(), options)]);
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities)
            .connect(&driver.address)
            .await
            .unwrap();
        let screens = program("counterfoil").parent().unwrap().with_file_name("screens");
        fs::create_dir_all(&screens).unwrap();
        Self {
            client,
            words: words(language),
            screens,
            language,
            driver,
            scanned: Cell::new(None),
            _screen: screen,
        }
    }

    /// Closes the app.
    pub async fn close(self) {
        self.client.close().await.unwrap();
    }

    /// A sentence of the screens, in this window's language, up to its first gap.
    pub fn word(&self, key: &str) -> &str {
        let sentence = self.words[key].as_str().unwrap();
        sentence.split('{').next().unwrap().trim()
    }

    /// The same, all that is between its gaps.
    fn pieces(&self, key: &str) -> Vec<&str> {
        let sentence = self.words[key].as_str().unwrap();
        let after_gap = |piece: &str| piece.find('}').map_or(0, |end| end + 1);
        let pieces = sentence.split('{').map(|piece| piece[after_gap(piece)..].trim());
        pieces.filter(|piece| !piece.is_empty()).collect()
    }

    /// What an element says of itself in an attribute.
    pub async fn says(&self, id: &str, attribute: &str) -> String {
        self.sees(id).await.attr(attribute).await.unwrap().unwrap()
    }

    /// Waits until the machine was asked to show this file.
    pub async fn shows(&self, file: &Path) {
        let begun = Instant::now();
        let wanted = file.to_str().unwrap();
        while !self.driver.shown().contains(wanted) {
            self.patience(begun, &format!("{wanted} is not shown")).await;
        }
    }

    /// Waits for what is on the screen under this test id, which may go on with attributes: `link[data-state=online]`.
    pub async fn sees(&self, id: &str) -> Element {
        let css = css(id);
        let begun = Instant::now();
        loop {
            if let Ok(element) = self.client.find(Locator::Css(&css)).await
                && element.is_displayed().await.unwrap_or(false)
            {
                return element;
            }
            self.patience(begun, &format!("{id} is not there")).await;
        }
    }

    /// Waits until it has gone.
    pub async fn sees_no_more(&self, id: &str) {
        let css = css(id);
        let begun = Instant::now();
        while !self.client.find_all(Locator::Css(&css)).await.unwrap().is_empty() {
            self.patience(begun, &format!("{id} is still there")).await;
        }
    }

    /// Waits until it says this sentence.
    pub async fn reads(&self, id: &str, key: &str) {
        let wanted = self.pieces(key);
        let begun = Instant::now();
        loop {
            let text = self.sees(id).await.text().await.unwrap_or_default();
            if wanted.iter().all(|piece| text.contains(piece)) {
                return;
            }
            self.patience(begun, &format!("{id} says {text:?} instead of {wanted:?}"))
                .await;
        }
    }

    /// How many of these there are now.
    pub async fn count(&self, id: &str) -> usize {
        self.client.find_all(Locator::Css(&css(id))).await.unwrap().len()
    }

    /// Presses it, as soon as it can be pressed.
    pub async fn press(&self, id: &str) {
        self.sees(&format!("{id}:enabled")).await.click().await.unwrap();
    }

    /// Types into a field.
    pub async fn types(&self, id: &str, text: &str) {
        self.sees(&format!("{id}:enabled")).await.send_keys(text).await.unwrap();
    }

    /// A USB scanner: a burst of keys and Enter, wherever the focus is.
    pub async fn scans(&self, code: &str) {
        self.sends(&format!("{code}{}", char::from(Key::Enter))).await;
        self.scanned.set(Some(Instant::now()));
    }

    /// The Enter key, wherever the focus is, as soon as it is a person's: right after a scan it is taken for a scanner's.
    pub async fn enters(&self) {
        if let Some(rest) = self.scanned.get().and_then(|at| AFTER_SCAN.checked_sub(at.elapsed())) {
            tokio::time::sleep(rest).await;
        }
        self.sends(&char::from(Key::Enter).to_string()).await;
    }

    /// Keys, wherever the focus is.
    pub async fn sends(&self, keys: &str) {
        self.client
            .active_element()
            .await
            .unwrap()
            .send_keys(keys)
            .await
            .unwrap();
    }

    /// Types a code at the desk and asks for it.
    pub async fn looks_up(&self, code: &str) {
        self.types("omnibox", code).await;
        self.press("omnibox-submit").await;
    }

    /// Drops a file onto the window.
    pub async fn drops(&self, name: &str, bytes: &[u8]) {
        let script = r"
            const bytes = Uint8Array.from(arguments[1].match(/../g), (pair) => parseInt(pair, 16));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], arguments[0], { type: 'image/png' }));
            document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }));";
        self.runs(script, vec![json!(name), json!(hex::encode(bytes))]).await;
    }

    /// Drops a file of so many bytes onto the window.
    pub async fn drops_large(&self, size: usize) {
        let script = r"
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Blob([new Uint8Array(arguments[0])])], 'large.png', { type: 'image/png' }));
            document.body.dispatchEvent(new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer }));";
        self.runs(script, vec![json!(size)]).await;
    }

    /// Puts a file's bytes on the clipboard of the display, as this kind of thing, and presses Ctrl+V.
    pub async fn pastes(&self, kind: &str, file: &Path) {
        // It goes on in the background, as the owner of what it copied, until something else is.
        let copied = std::process::Command::new("xclip")
            .args(["-selection", "clipboard", "-t", kind])
            .arg(file)
            .stdout(std::process::Stdio::null())
            .status();
        assert!(copied.unwrap().success());
        let control = char::from(Key::Control);
        let keys = KeyActions::new("keyboard".to_owned())
            .then(KeyAction::Down { value: control })
            .then(KeyAction::Down { value: 'v' })
            .then(KeyAction::Up { value: 'v' })
            .then(KeyAction::Up { value: control });
        self.client.perform_actions(keys).await.unwrap();
    }

    /// Chooses a file with the file field. It is out of sight, under its button, so nobody waits to see it.
    pub async fn chooses(&self, file: &Path) {
        let field = self.client.find(Locator::Css(&css("picture-input"))).await.unwrap();
        field.send_keys(file.to_str().unwrap()).await.unwrap();
    }

    async fn runs(&self, script: &str, arguments: Vec<Value>) {
        self.client.execute(script, arguments).await.unwrap();
    }

    /// Keeps a picture of the window, when everything that moves has come to rest.
    pub async fn keeps(&self, step: &str) {
        let begun = Instant::now();
        let still = r"
            const done = arguments[0];
            const moves = (one) => one.playState === 'running' && one.effect.getComputedTiming().endTime !== Infinity;
            requestAnimationFrame(() => requestAnimationFrame(() => done(!document.getAnimations().some(moves))));";
        while self.client.execute_async(still, vec![]).await.unwrap() != true {
            self.patience(begun, "something never stops moving").await;
        }
        let picture = self.client.screenshot().await.unwrap();
        fs::write(self.screens.join(format!("{}-{step}.png", self.language)), picture).unwrap();
    }

    /// Waits until it is so.
    pub async fn until(&self, so: impl AsyncFn() -> bool, complaint: &str) {
        let begun = Instant::now();
        while !so().await {
            self.patience(begun, complaint).await;
        }
    }

    /// Fails, with a picture and all that is on the screen, when it has lasted too long.
    async fn patience(&self, begun: Instant, complaint: &str) {
        if begun.elapsed() > PATIENCE {
            self.client
                .screenshot()
                .await
                .map(|picture| fs::write(self.screens.join(format!("{}-failed.png", self.language)), picture))
                .ok();
            let body = self.client.find(Locator::Css("body")).await.unwrap();
            panic!("{complaint}; on the screen:\n{}", body.text().await.unwrap());
        }
        tokio::time::sleep(GLANCE).await;
    }
}

/// `link[data-state=online]` -> `[data-testid="link"][data-state=online]`
pub fn css(id: &str) -> String {
    let (name, rest) = id.split_at(id.find(['[', ':']).unwrap_or(id.len()));
    format!(r#"[data-testid="{name}"]{rest}"#)
}

/// Every sentence of the screens in this language: the counter's own, and those that all front ends share.
fn words(language: &str) -> Map<String, Value> {
    ["counter", "shared"]
        .into_iter()
        .map(|front_end| format!("../ui/{front_end}/messages/{language}"))
        .flat_map(|folder| fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap())
        .flat_map(|file| {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            serde_json::from_str::<Map<String, Value>>(&text).unwrap()
        })
        .collect()
}
