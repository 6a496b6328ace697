//! The tray icon, there while head office is inside this app.

use std::sync::Mutex;
use std::sync::PoisonError;

use tauri::menu::{Menu, MenuItem};
use tauri::tray::TrayIconBuilder;
use tauri::{AppHandle, Manager, Wry};

use crate::settings::Locale;
use crate::window;

const ID: &str = "main";
const OPEN: &str = "open";
const QUIT: &str = "quit";

/// The two entries of its menu.
struct Entries {
    locale: Locale,
    open: MenuItem<Wry>,
    quit: MenuItem<Wry>,
}

type Shown = Mutex<Option<Entries>>;

struct Words {
    open: &'static str,
    quit: &'static str,
}

fn words(locale: Locale) -> Words {
    match locale {
        Locale::ZhCn => Words {
            open: "打开 Counterfoil",
            quit: "退出",
        },
        Locale::En => Words {
            open: "Open Counterfoil",
            quit: "Quit",
        },
    }
}

/// Whether closing the window may leave the app in the tray.
pub fn is_shown(app: &AppHandle) -> bool {
    app.tray_by_id(ID).is_some()
}

/// Shows the icon, in this language.
pub fn show(app: &AppHandle, locale: Locale) {
    if !can_be_shown() {
        return;
    }
    let handle = app.clone();
    let asked = app.run_on_main_thread(move || {
        if let Err(error) = show_now(&handle, locale) {
            tracing::warn!(%error, "no tray icon");
        }
    });
    if let Err(error) = asked {
        tracing::debug!(%error, "the tray was not reached");
    }
}

fn show_now(app: &AppHandle, locale: Locale) -> tauri::Result<()> {
    if app.try_state::<Shown>().is_none() {
        app.manage::<Shown>(Mutex::new(None));
    }
    let shown = app.state::<Shown>();
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let words = words(locale);
    if let Some(entries) = &mut *shown {
        if entries.locale != locale {
            entries.open.set_text(words.open)?;
            entries.quit.set_text(words.quit)?;
            entries.locale = locale;
        }
        return Ok(());
    }
    let open = MenuItem::with_id(app, OPEN, words.open, true, None::<&str>)?;
    let quit = MenuItem::with_id(app, QUIT, words.quit, true, None::<&str>)?;
    let mut icon = TrayIconBuilder::with_id(ID)
        .menu(&Menu::with_items(app, &[&open, &quit])?)
        .tooltip("Counterfoil")
        .on_menu_event(|app, event| match event.id().as_ref() {
            OPEN => window::show(app),
            QUIT => app.exit(0),
            _ => {}
        });
    if let Some(picture) = app.default_window_icon() {
        icon = icon.icon(picture.clone());
    }
    icon.build(app)?;
    *shown = Some(Entries { locale, open, quit });
    Ok(())
}

/// On Linux the icon needs a library that a machine may not have, and looking for it in vain ends in a panic.
#[cfg(target_os = "linux")]
fn can_be_shown() -> bool {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static FOUND: OnceLock<bool> = OnceLock::new();
    const NAMES: [&str; 2] = ["libayatana-appindicator3.so.1", "libappindicator3.so.1"];
    *FOUND.get_or_init(|| {
        let mut folders: Vec<PathBuf> = ["/usr/lib", "/usr/lib64", "/lib", "/usr/local/lib"]
            .iter()
            .map(PathBuf::from)
            .collect();
        folders.extend([
            PathBuf::from(format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH)),
            PathBuf::from("/usr/lib/arm-linux-gnueabihf"),
        ]);
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            folders.extend(std::env::split_paths(&path));
        }
        let found = folders
            .iter()
            .any(|folder| NAMES.iter().any(|name| folder.join(name).is_file()));
        if !found {
            tracing::info!("no tray icon: install libayatana-appindicator3-1 to have one");
        }
        found
    })
}

#[cfg(not(target_os = "linux"))]
fn can_be_shown() -> bool {
    true
}
