//! The desktop app's shell: a window around the counter, and the commands that need neither.
//!
//! Rules live in the crates behind it. Here a command unpacks, makes one call and maps the answer.

pub mod bindings;
mod camera;
pub mod cli;
mod clipboard;
pub mod codes;
mod commands;
mod demo;
mod finding;
mod first_start;
pub mod instance;
mod opening;
mod picture;
pub mod problem;
mod settings;
mod shell;
mod single_shop;
mod slips;
mod tray;
mod view;
mod window;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use first_start::Environment;
use instance::Instance;
use shell::Shell;
use tauri::RunEvent;

/// As in tauri.conf.json: the name of the app's folder on this machine.
pub const IDENTIFIER: &str = "shop.counterfoil.desk";

/// Opens the window on this data folder and stays until it is closed.
pub fn run(folder: &Path) -> ExitCode {
    let failed = |what: String| {
        eprintln!("counterfoil: {what}");
        ExitCode::FAILURE
    };
    if let Err(what) = display() {
        return failed(what);
    }
    let instance = match Instance::take(folder) {
        Ok(instance) => instance,
        Err(problem) => return failed(format!("{problem}; its window was called to the front")),
    };
    let shell = Arc::new(Shell::new(folder, Environment::read()));
    let bindings = bindings::builder();
    let watched = Arc::clone(&shell);
    let built = tauri::Builder::default()
        .manage(Arc::clone(&shell))
        .invoke_handler(bindings.invoke_handler())
        .on_window_event(window::on_event)
        .setup(move |app| {
            bindings.mount_events(app);
            tauri::async_runtime::spawn(window::watch(app.handle().clone(), watched, instance));
            Ok(())
        })
        .build(tauri::generate_context!());
    match built {
        Ok(app) => {
            let code = app.run_return(move |_, event| {
                if let RunEvent::Exit = event {
                    tauri::async_runtime::block_on(shell.stop());
                }
            });
            ExitCode::from(u8::try_from(code).unwrap_or(1))
        }
        Err(error) => failed(format!("the window can't be opened: {error}")),
    }
}

/// Without a display the toolkit would give up with a panic later.
#[cfg(target_os = "linux")]
fn display() -> Result<(), String> {
    gtk::init().map_err(|_| {
        "there is no display to open the window on. Start it in a desktop session, or set DISPLAY or WAYLAND_DISPLAY. \
         `counterfoil scan`, `qr` and `doctor` work without one."
            .to_owned()
    })
}

#[cfg(not(target_os = "linux"))]
fn display() -> Result<(), String> {
    Ok(())
}
