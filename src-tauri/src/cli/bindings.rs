//! `counterfoil bindings [--check]`: the commands and their types, for the front end.

use std::fs;
use std::io::Write;
use std::path::Path;

use clap::Args;

use super::Ending;
use crate::bindings;

/// Where the front end has them, from the root of the sources.
pub const FILE: &str = "ui/counter/src/lib/backend/bindings.ts";

/// Write the front end's bindings of the app's commands.
#[derive(Debug, Args)]
#[command(after_help = "Example, in the root of the sources:\n  counterfoil bindings --check")]
pub struct BindingsArgs {
    /// Write nothing; say whether the file is what would be written
    #[arg(long)]
    pub check: bool,
}

/// Writes the file, or compares it.
pub fn run(file: &Path, check: bool, messages: &mut dyn Write) -> Ending {
    let mut say = |text: String| drop(writeln!(messages, "counterfoil bindings: {text}"));
    let text = match bindings::typescript() {
        Ok(text) => text,
        Err(error) => {
            say(error);
            return Ending::Failed;
        }
    };
    let file_name = file.display();
    if !check {
        return match fs::write(file, text) {
            Ok(()) => Ending::Done,
            Err(error) => {
                say(format!("{file_name}: {error}"));
                Ending::Failed
            }
        };
    }
    match fs::read_to_string(file) {
        Ok(found) if found == text => Ending::Done,
        Ok(_) => {
            say(format!(
                "{file_name} is not what the code says; run `cargo run -p counterfoil -- bindings`"
            ));
            Ending::Failed
        }
        Err(error) => {
            say(format!("{file_name}: {error}"));
            Ending::BadInput
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_end_has_what_the_code_says() {
        let mut messages = Vec::new();
        let ending = run(Path::new(FILE), true, &mut messages);
        assert_eq!(
            (ending, String::from_utf8(messages).unwrap().as_str()),
            (Ending::Done, "")
        );
    }

    #[test]
    fn a_difference_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bindings.ts");
        assert_eq!(run(&file, true, &mut Vec::new()), Ending::BadInput);
        assert_eq!(run(&file, false, &mut Vec::new()), Ending::Done);
        assert_eq!(run(&file, true, &mut Vec::new()), Ending::Done);
        fs::write(&file, "// older").unwrap();
        let mut messages = Vec::new();
        assert_eq!(run(&file, true, &mut messages), Ending::Failed);
        assert!(String::from_utf8(messages).unwrap().contains("bindings.ts"));
    }
}
