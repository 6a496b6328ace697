//! The commands, events and words of the app, once for Tauri and once for TypeScript.

use std::fs;

use specta_typescript::Typescript;
use tauri_specta::{Builder, collect_commands, collect_events};

use crate::codes;
use crate::commands::{basket, camera, desk, first_start, members, queue, sales, session, settings};
use crate::view::StateChanged;

/// All of them.
pub fn builder() -> Builder<tauri::Wry> {
    Builder::new()
        .commands(collect_commands![
            session::app_state,
            settings::set_locale,
            settings::set_scanner,
            first_start::connect,
            first_start::start_single_shop,
            first_start::start_demo,
            session::clerks,
            session::sign_in,
            session::sign_out,
            session::lift_lock,
            desk::look_up,
            desk::product_of,
            desk::read_picture,
            desk::read_pasted_picture,
            desk::confirm,
            desk::void_redemption,
            basket::quote,
            basket::open_payment,
            basket::close_payment,
            basket::settle,
            members::top_up,
            members::statement,
            sales::sales,
            sales::sale,
            sales::return_preview,
            sales::return_sale,
            sales::slip,
            queue::queue,
            queue::sync_now,
            camera::cameras,
            camera::open_camera,
            camera::camera_frame,
            camera::close_camera,
            first_start::demo_hints,
        ])
        .events(collect_events![StateChanged])
        .constant("PROBLEM_CODES", codes::problems())
        .constant("REASON_CODES", codes::reasons())
        .constant("QUOTE_REASON_CODES", codes::quote_reasons())
        .constant("EXCEPTION_CODES", codes::exceptions())
        .disable_serde_phases()
        // Times in ms and amounts in minor units stay below 2^53; ids cross as text.
        .dangerously_cast_bigints_to_number()
}

/// The TypeScript of them. The generator only writes files.
pub fn typescript() -> Result<String, String> {
    let file = std::env::temp_dir().join(format!("counterfoil-bindings-{}.ts", uuid::Uuid::now_v7()));
    let written = builder()
        .export(Typescript::default(), &file)
        .map_err(|error| error.to_string());
    let text = written.and_then(|()| fs::read_to_string(&file).map_err(|error| error.to_string()));
    let _ = fs::remove_file(&file);
    text.map(|text| format!("{}\n", text.trim_end()))
}
