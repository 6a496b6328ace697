//! Which encoding the text of a file is in.

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, GB18030, GBK, UTF_8, WINDOWS_1252};

use super::Unread;

/// A text, and what it was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// With LF at the ends of its lines.
    pub text: String,
    /// Name of the encoding.
    pub encoding: &'static str,
    /// Whether nothing says that it is this one.
    pub guessed: bool,
}

/// An encoding by one of its names.
///
/// # Errors
/// [`Unread::Charset`] when there is no such encoding, or none that is read.
pub fn named(charset: &str) -> Result<&'static Encoding, Unread> {
    match Encoding::for_label(charset.trim().as_bytes()) {
        Some(encoding) if encoding == UTF_8 || encoding == WINDOWS_1252 => Ok(encoding),
        // What is called GB2312 or GBK is read by the larger set.
        Some(encoding) if encoding == GBK || encoding == GB18030 => Ok(GB18030),
        _ => Err(Unread::Charset(charset.to_owned())),
    }
}

/// The text of a file in this encoding, or else in that which it seems to be in: UTF-8 can be told for certain, of the
/// others only what is likely.
///
/// # Errors
/// [`Unread`] when it is not a text of that encoding, or of none.
pub fn decode(bytes: &[u8], wanted: Option<&'static Encoding>) -> Result<Decoded, Unread> {
    if bytes.contains(&0) {
        // No text of these encodings: UTF-16, or no text at all.
        return Err(Unread::NoText);
    }
    let (encoding, guessed) = match wanted {
        Some(encoding) => (encoding, false),
        None if std::str::from_utf8(bytes).is_ok() => (UTF_8, false),
        None => (likely(bytes), true),
    };
    let text = match encoding.decode_without_bom_handling_and_without_replacement(bytes) {
        Some(text) if encoding != WINDOWS_1252 || !text.chars().any(is_undefined) => text,
        _ => {
            return Err(Unread::NotOf {
                encoding: encoding.name(),
                line: first_wrong(bytes, encoding),
            });
        }
    };
    let unmarked = text.strip_prefix('\u{feff}').unwrap_or(&text);
    Ok(Decoded {
        text: unmarked.replace("\r\n", "\n").replace('\r', "\n"),
        encoding: encoding.name(),
        guessed,
    })
}

/// Five bytes mean nothing in Windows-1252; the decoder makes control characters of them.
fn is_undefined(sign: char) -> bool {
    ('\u{80}'..='\u{9f}').contains(&sign)
}

fn likely(bytes: &[u8]) -> &'static Encoding {
    if GB18030
        .decode_without_bom_handling_and_without_replacement(bytes)
        .is_none()
    {
        return WINDOWS_1252;
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(bytes, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    if guess == GBK || guess == GB18030 {
        return GB18030;
    }
    if guess == WINDOWS_1252 || !in_pairs(bytes) {
        return WINDOWS_1252;
    }
    GB18030
}

/// Whether the bytes beyond ASCII mostly come in pairs, as those of the usual Chinese characters do. Letters with
/// accents stand alone between plain ones.
fn in_pairs(bytes: &[u8]) -> bool {
    let runs = bytes.split(u8::is_ascii).map(<[u8]>::len).filter(|length| *length > 0);
    let (even, odd) = runs.fold((0, 0), |(even, odd), length| match length % 2 {
        0 => (even + length / 2, odd),
        _ => (even, odd + 1),
    });
    even > odd
}

/// The line of the first byte that is none of this encoding.
fn first_wrong(bytes: &[u8], encoding: &'static Encoding) -> u64 {
    let fits = |length: &usize| {
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let mut text = String::with_capacity(length * 3 + 16);
        let (_, _) = decoder.decode_to_string_without_replacement(&bytes[..*length], &mut text, false);
        text
    };
    let length = if encoding == UTF_8 {
        std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len)
    } else {
        let text = fits(&bytes.len());
        let wrong = text
            .char_indices()
            .find(|(_, sign)| encoding == WINDOWS_1252 && is_undefined(*sign));
        let before = wrong.map_or(text.as_str(), |(at, _)| &text[..at]);
        return line_after(before);
    };
    line_after(&String::from_utf8_lossy(&bytes[..length]))
}

/// The line in which whoever has read so much is, as an editor counts.
fn line_after(text: &str) -> u64 {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    1 + text.bytes().filter(|byte| *byte == b'\n').count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seems(bytes: &[u8]) -> (String, &'static str, bool) {
        let decoded = decode(bytes, None).unwrap();
        (decoded.text, decoded.encoding, decoded.guessed)
    }

    #[test]
    fn western_and_chinese_files_are_told_apart() {
        let head = "sku,name_zh,name_en,price\n";
        for text in [
            "D,丁,D,1\n",
            "A,茶,Tea,1.00\n",
            "A,龙井茶,Longjing tea,16.80\nB,乙,B,1.00\nC,丙,C,0.5\n",
            "A,T恤（白）,T-shirt,50.00\n",
            "A,朱镕基传,Biography,50.00\nB,喆,Zhe,1\n",
            "A,“特价”—咖啡,Coffee,50.00\n",
            "A,可口可乐500ml,Coke,3.00\nB,百事330ml罐装,Pepsi,3.00\n",
        ] {
            let text = format!("{head}{text}");
            let (bytes, _, lost) = GB18030.encode(&text);
            assert!(!lost);
            assert_eq!(seems(&bytes), (text.clone(), "gb18030", true));
            assert_eq!(seems(text.as_bytes()), (text, "UTF-8", false));
        }
        for text in [
            "W-1,Creme brulee zh,Crème brûlée,5.00\n",
            "W-1,Cafe,Café au lait,5.00\n",
            "W-1,Jalapeno,Jalapeño grün,5.00\nW-2,x,Müsli Äpfel,1\n",
            "W-1,a,L’Oréal – shampoo,5.00\n",
            "W-1,a,Créée à la main,5.00\n",
            "W-1,a,Smörgåsbord,5.00\nW-2,b,Rødgrød,3\n",
            "W-1,a,Straße,5.00\n",
            "W-1,a,20°C thermometer ½ l,5.00\n",
            "W-1,a,Señor piñata,5.00\n",
            "W-1,a,5 € Gutschein,5.00\n",
            "W-1,a,Acme® tool™,5.00\n",
        ] {
            let text = format!("{head}{text}");
            let (bytes, _, lost) = WINDOWS_1252.encode(&text);
            assert!(!lost);
            assert_eq!(seems(&bytes), (text, "windows-1252", true));
        }
    }

    #[test]
    fn what_is_said_goes_before_what_seems_so() {
        let bytes = b"W-1,a,Cr\xe8me br\xfbl\xe9e\n";
        let as_if = |charset: &str| decode(bytes, Some(named(charset).unwrap()));
        assert!(as_if("Windows-1252").unwrap().text.contains("Crème brûlée"));
        assert!(!as_if("latin1").unwrap().guessed);
        assert!(as_if("gb2312").unwrap().text.contains("Cr鑝e"));
        assert_eq!(
            as_if("utf-8"),
            Err(Unread::NotOf {
                encoding: "UTF-8",
                line: 1
            })
        );
        for charset in ["big5", "utf-16", "shift_jis", "", "klingon"] {
            assert_eq!(named(charset), Err(Unread::Charset(charset.into())));
        }
    }

    #[test]
    fn marks_and_line_ends_are_undone() {
        assert_eq!(seems("\u{feff}a\r\nb\rc\n".as_bytes()).0, "a\nb\nc\n");
        let (marked, _, _) = GB18030.encode("\u{feff}茶\n");
        assert_eq!(decode(&marked, Some(GB18030)).unwrap().text, "茶\n");
    }

    #[test]
    fn what_is_no_text_is_not_read() {
        assert_eq!(decode(b"\xff\xfes\0k\0u\0", None), Err(Unread::NoText));
        let wrong = |encoding, line| Err(Unread::NotOf { encoding, line });
        assert_eq!(decode(b"a\r\nb\x81", None), wrong("windows-1252", 2));
        assert_eq!(decode(b"a\rb\r\xe8,", Some(GB18030)), wrong("gb18030", 3));
        assert_eq!(decode(b"a\nb\n\xe8,", Some(UTF_8)), wrong("UTF-8", 3));
    }
}
