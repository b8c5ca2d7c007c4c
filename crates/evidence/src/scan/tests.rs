//! The scanner: planted secrets in every form.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

const KEY: &str = "sk-proj-Qm4vXz81LtRw/+Yk2PbNc7DfGh3Js";
const PROMPT: &str = "[ssm-0123456789ab] Release check. Reply with exactly this label and nothing else: SSL-77aa88bb99cc";

fn scanner() -> Scanner {
    Scanner::new([
        Needle::new(NeedleKind::Credential, "secret KEY of new", Sensitive::new(KEY)),
        Needle::new(NeedleKind::Prompt, "prompt", Sensitive::new(PROMPT)),
        Needle::new(NeedleKind::Prompt, "marker", Sensitive::new("ssm-0123456789ab")),
        Needle::new(NeedleKind::Completion, "label", Sensitive::new("SSL-77aa88bb99cc")),
    ])
}

/// The text has this needle in it in this form, and once redacted it has it no more.
#[track_caller]
fn check(text: &str, name: &str, form: Form) {
    let scanner = scanner();
    let hits = scanner.scan(text.as_bytes());
    assert!(hits.iter().any(|hit| hit.name == name && hit.form == form), "{text}: {hits:?}");
    let redacted = scanner.redact(text);
    assert_eq!(scanner.scan(redacted.as_str().as_bytes()), [], "{redacted}");
}

#[track_caller]
fn check_clean(text: &str) {
    assert_eq!(scanner().scan(text.as_bytes()), [], "{text}");
}

/// The pieces of a needle and the views of a text overlap; what is found there is one thing.
#[test]
fn overlapping_hits_of_one_needle_are_one() {
    let scanner = scanner();
    for text in [KEY.to_owned(), format!("%20{KEY}\\n&amp;"), PROMPT.to_owned()] {
        for name in ["secret KEY of new", "prompt", "marker", "label"] {
            let hits = scanner.scan(text.as_bytes());
            assert!(hits.iter().filter(|hit| hit.name == name).count() <= 1, "{hits:?}");
        }
    }
}

fn percent(text: &str, upper: bool) -> String {
    text.bytes().map(|b| if upper { format!("%{b:02X}") } else { format!("%{b:02x}") }).collect()
}

#[test]
fn credential_is_found_in_every_encoding() {
    let name = "secret KEY of new";
    check(&format!("got {KEY}, sorry"), name, Form::Plain);
    for before in ["", "u:", "ab", "user:"] {
        check(&STANDARD.encode(format!("{before}{KEY}")), name, Form::Base64);
        check(&STANDARD.encode(format!("{before}{KEY} and more")), name, Form::Base64);
        check(&URL_SAFE_NO_PAD.encode(format!("{before}{KEY}")), name, Form::Base64);
    }
    let hex: String = KEY.bytes().map(|b| format!("{b:02x}")).collect();
    check(&hex, name, Form::Hex);
    check(&hex.to_uppercase(), name, Form::Hex);
    check(&percent(KEY, true), name, Form::Percent);
    check(&percent(KEY, false), name, Form::Percent);
    check(&format!("?k={}", KEY.replace('/', "%2F").replace('+', "%2b")), name, Form::Percent);
    check(&KEY.replace('/', "\\/"), name, Form::Escaped);
    check(&KEY.replace('/', "\\\\/"), name, Form::EscapedTwice);
    check(&KEY.replace('/', "&#x2F;").replace('+', "&#43;"), name, Form::Html);
    check(&format!("{}!", &percent(&KEY.replace('/', "\\/"), true)), name, Form::EscapedTwice);
}

/// How debuggers, loggers of bytes and terminals print a text.
#[test]
fn printed_bytes_and_broken_lines_are_read() {
    let name = "secret KEY of new";
    let join = |bytes: &mut dyn Iterator<Item = String>, between: &str| {
        bytes.collect::<Vec<_>>().join(between)
    };
    let hex = |between: &str| join(&mut KEY.bytes().map(|b| format!("{b:02x}")), between);
    check(&format!("<Buffer {}>", hex(" ")), name, Form::Hex);
    check(&hex(":").to_uppercase(), name, Form::Hex);
    check(&format!("[0x{}]", hex(", 0x")), name, Form::Hex);
    let decimal = |between: &str| join(&mut KEY.bytes().map(|b| b.to_string()), between);
    check(&format!(r#"{{"type":"Buffer","data":[{}]}}"#, decimal(",")), name, Form::Numbers);
    check(&format!("[{}]", decimal(" ")), name, Form::Numbers);
    check(
        &format!("data=[\n    {},\n]", decimal(",\n    ").replace("    ", "")),
        name,
        Form::Numbers,
    );
    for order in [u16::to_le_bytes, u16::to_be_bytes] {
        let wide: Vec<u8> = format!("key {KEY}!").encode_utf16().flat_map(order).collect();
        check(&String::from_utf8_lossy(&wide), name, Form::Wide);
    }
    let (first, second) = KEY.split_at(17);
    check(&format!("{first}\n    {second}"), name, Form::Wrapped);
    check(&format!("('{first}'\n '{second}')"), name, Form::Wrapped);
    check(&format!("key: '{first}' +\n      '{second}'"), name, Form::Wrapped);
    let encoded = STANDARD.encode(format!("user:{KEY} and some more text behind it"));
    let (first, second) = encoded.split_at(36);
    check(&format!("{first}\r\n{second}"), name, Form::Base64);
    check(&percent(&percent(KEY, true), true), name, Form::EscapedTwice);
    let octal: String = KEY.bytes().map(|b| format!("\\{b:03o}")).collect();
    check(&octal, name, Form::Escaped);
}

#[test]
fn a_prompt_in_capitals_is_a_prompt_and_a_key_is_exact() {
    check(&PROMPT.to_uppercase(), "prompt", Form::Part);
    check("q=\"[SSM-0123456789AB] RELEASE CHECK.\"", "prompt", Form::Part);
    check_clean(&KEY.to_lowercase());
}

/// Megabytes of what logs are full of: no needle is in them.
#[test]
fn ordinary_logs_hold_nothing() {
    let scanner = scanner();
    let mut chance = 0x2545_f491_4f6c_dd1d_u64;
    let mut log = String::new();
    for n in 0..4_500 {
        let mut word = || {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance
        };
        let (a, b, c) = (word(), word(), word());
        let id = STANDARD.encode([a.to_le_bytes(), b.to_le_bytes()].concat());
        log.push_str(&format!(
            "2026-11-22T10:00:{:02}.{:03}Z INFO a release check took {} ms for SSL-{a:012x} trace={b:032x} id=chatcmpl-{id} [{}, {}, {}, {}, {}, {}, {}] {:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x} %2F\\u00e9&amp; sk-proj-****{:04x}\n",
            n % 60, a % 1000, b % 9000, a % 256, b % 256, c % 256, a % 7, b % 99, c % 31, n % 200,
            a % 256, b % 256, c % 256, a % 251, b % 241, c % 239, c % 65_536,
        ));
    }
    assert!(log.len() > 1_000_000, "{}", log.len());
    assert_eq!(scanner.scan(log.as_bytes()), []);
    assert_eq!(scanner.tokens(log.as_bytes()), []);
}

#[test]
fn bad_mask_is_found_and_a_good_one_is_not() {
    let name = "secret KEY of new";
    check("sk-proj-Qm4vXz81****", name, Form::Part);
    check("sk-proj-Qm4vXz81LtRw…", name, Form::Part);
    check("key ending in 7DfGh3Js", name, Form::Part);
    check(&format!("cut: {}", &KEY[..KEY.len() - 1]), name, Form::Part);
    check("sk-proj-****z81LtRw/+Yk2PbNc7D****", name, Form::Part);
    check_clean("sk-proj-********************************");
    check_clean("sk-proj-Qm4vXz*****Gh3Js");
    check_clean("Incorrect API key provided: sk-proj-****************************h3Js.");
    check_clean("an sk-proj- key");
}

#[test]
fn wordy_test_key_does_not_match_prose() {
    let scanner = Scanner::new([Needle::new(
        NeedleKind::Credential,
        "k",
        Sensitive::new("sk-test-credential-for-the-simulated-provider"),
    )]);
    assert_eq!(scanner.scan(b"a credential of the simulated provider, for sk-test- keys"), []);
    assert_eq!(scanner.scan(b"sk-test-credential-for-th****").len(), 1);
}

#[test]
fn prompt_is_found_whole_escaped_and_truncated() {
    check(PROMPT, "prompt", Form::Part);
    check("prompt=[ssm-0123456789ab] Release", "prompt", Form::Part);
    check("…ly with exactly this label and nothing else: S…", "prompt", Form::Part);
    check("marker ssm-0123456789ab only", "marker", Form::Plain);
    check("label SSL-77aa88bb99cc only", "label", Form::Plain);
    check_clean("Release check. Reply soon.");
    let text = "Grüße aus Köln, mit \"Anführung\" und Emoji 😀, bitte sehr genau antworten";
    let scanner = Scanner::new([Needle::new(NeedleKind::Completion, "t", Sensitive::new(text))]);
    let json = serde_json::to_string(text).unwrap();
    let ascii: String = json
        .encode_utf16()
        .map(|unit| match u8::try_from(unit) {
            Ok(byte) if byte.is_ascii() => char::from(byte).to_string(),
            _ => format!("\\u{unit:04x}"),
        })
        .collect();
    for log in [json, ascii.clone(), serde_json::to_string(&ascii).unwrap()] {
        assert!(!scanner.scan(log.as_bytes()).is_empty(), "{log}");
        let redacted = scanner.redact(&log).into_string();
        assert!(!redacted.contains("Emoji") && !redacted.contains("sehr"), "{redacted}");
    }
}

/// Every way to write a character that a view undoes, each alone.
#[test]
fn escapes_of_all_kinds_are_undone() {
    let text = "naïve-😀-a/b\"c&d-e'f";
    let scanner = Scanner::new([Needle::new(NeedleKind::Completion, "t", Sensitive::new(text))]);
    for (plain, escaped) in [
        ("😀", "\\ud83d\\ude00"),
        ("😀", "\\u{1f600}"),
        ("😀", "&#128512;"),
        ("😀", "&#x1F600;"),
        ("😀", "%F0%9f%98%80"),
        ("ï", "\\u00ef"),
        ("ï", "\\xc3\\xaf"),
        ("/", "\\/"),
        ("\"", "&quot;"),
        ("&", "&amp;"),
        ("'", "&apos;"),
        ("'", "\\'"),
    ] {
        let redacted = scanner.redact(&format!("<{}>", text.replace(plain, escaped)));
        assert_eq!(redacted.as_str(), "<[redacted:completion]>", "{escaped}");
    }
}

#[test]
fn truncated_prompt_is_redacted_to_its_last_letter() {
    let redacted =
        scanner().redact("q=[ssm-0123456789ab] Release check. Reply with exactly this la…");
    assert_eq!(redacted.as_str(), "q=[redacted:prompt]…");
}

/// A run gives what all its markers and labels begin with.
#[test]
fn beginning_of_labels_is_found_in_each_of_them() {
    for beginning in ["ssm-f01234", "SSL-abcdef"] {
        let needle = Needle::new(NeedleKind::Prompt, "m", Sensitive::new(beginning));
        let scanner = Scanner::new([needle]);
        assert_eq!(scanner.unsearchable(), [""; 0]);
        for log in [
            format!("[{beginning}00001a] Release"),
            format!("{{\"q\":\"x\\n{beginning}00001a\"}}"),
            STANDARD.encode(format!("say {beginning}00001a")),
            percent(&format!("?{beginning}00001a"), true),
        ] {
            assert_eq!(scanner.scan(log.as_bytes()).len(), 1, "{log}");
        }
        assert_eq!(scanner.scan(format!("x{beginning}1").as_bytes()), []);
    }
}

#[test]
fn union_of_overlapping_secrets_is_redacted() {
    let secret =
        |name: &str, value: &str| Needle::new(NeedleKind::Credential, name, Sensitive::new(value));
    let scanner = Scanner::new([secret("a", "AAAABBBB"), secret("b", "BBBBCCCC")]);
    assert_eq!(scanner.redact("<AAAABBBBCCCC>").as_str(), "<[redacted:credential]>");
    let scanner = Scanner::new([secret("a", "sk-live-abc"), secret("b", "sk-live-abcDEF123")]);
    assert_eq!(scanner.redact("<sk-live-abcDEF123>").as_str(), "<[redacted:credential]>");
}

#[test]
fn short_credential_is_searched_alone_or_named_as_unsearchable() {
    let scanner = Scanner::new([
        Needle::new(NeedleKind::Credential, "short", Sensitive::new("test")),
        Needle::new(NeedleKind::Credential, "word", Sensitive::new("dummy1")),
        Needle::new(NeedleKind::Completion, "ok", Sensitive::new("OK")),
        Needle::new(NeedleKind::Credential, "empty", Sensitive::new(" ")),
        Needle::new(NeedleKind::Credential, "wordy", Sensitive::new("postgres")),
    ]);
    assert_eq!(scanner.scan(b"postgresql"), []);
    assert_eq!(scanner.scan(b"db://u:postgres@h").len(), 1);
    assert_eq!(scanner.scan(STANDARD.encode("u:postgres!").as_bytes()).len(), 1);
    assert_eq!(scanner.unsearchable(), ["short", "ok"]);
    assert_eq!(scanner.scan(b"a test with dummy12"), []);
    assert_eq!(scanner.scan(b"key=dummy1&x").len(), 1);
}

#[test]
fn unknown_tokens_are_redacted_and_masks_are_not() {
    let scanner = Scanner::default();
    for (text, redacted) in [
        ("key sk-abcd1234EFGH5678 here", "key [redacted:token] here"),
        ("Authorization: Bearer abcd1234efgh", "Authorization: [redacted:token]"),
        (r#"{"authorization": "Basic dXNlcjpwYXNz"}"#, r#"{"authorization": "[redacted:token]"}"#),
        ("GET /x?api_key=abcd1234&n=1", "GET /x?api_key=[redacted:token]&n=1"),
        ("bearer eyJhbGciOi.J9", "bearer [redacted:token]"),
        ("sk-abcd****wxyz", "sk-abcd****wxyz"),
        ("Authorization: Bearer undefined", "Authorization: [redacted:token]"),
        ("the bearer of this monkey=yes", "the bearer of this monkey=yes"),
    ] {
        assert_eq!(scanner.redact(text).as_str(), redacted);
        assert_eq!(scanner.redact(redacted).as_str(), redacted, "redacting twice changes nothing");
    }
    assert_eq!(scanner.tokens(b"Bearer sk-abcd1234EFGH5678").len(), 2);
    for name in
        ["sk-telecom-support-bot-v2", "file:/run/secrets/sk-live-2026-11-20.key", "sk-learn"]
    {
        assert_eq!(scanner.tokens(name.as_bytes()), [], "{name}");
    }
    assert_eq!(scanner.tokens(b"sk-ant-api03-R2D2c3poBB8x9y8zK4-x_y").len(), 1);
    assert_eq!(scanner.tokens(b"sends `Authorization: Bearer`, as documented"), []);
}

#[test]
fn scanner_that_grows_finds_old_and_new() {
    let shared = SharedScanner::new(scanner());
    for n in 0..300 {
        let label = format!("SSL-label-number-{n}");
        shared.add([Needle::new(NeedleKind::Completion, label.clone(), Sensitive::new(label))]);
    }
    let scanner = shared.snapshot();
    assert!(scanner.segments.len() <= 8, "{} segments", scanner.segments.len());
    let hits = scanner.scan(format!("{KEY} SSL-label-number-7 SSL-label-number-299").as_bytes());
    let names: Vec<_> = hits.iter().map(|hit| hit.name.as_str()).collect();
    assert!(names.contains(&"secret KEY of new"), "{names:?}");
    assert!(names.contains(&"SSL-label-number-7"), "{names:?}");
    assert!(names.contains(&"SSL-label-number-299"), "{names:?}");
}

/// Logs may be long and strange: time grows with their length and not with its square.
#[test]
fn long_strange_text_is_scanned_in_time() {
    let scanner = scanner();
    for unit in [
        "a.",
        "sk-",
        "key=",
        "bearer+",
        "authorization: x ",
        "eyJ.",
        "\\\\\\",
        "%25",
        "Qm4vXz81",
        "\\u{",
        "&#",
        "ssm-0123456789ab ",
    ] {
        let text = unit.repeat(50_000 / unit.len());
        drop(scanner.redact(&text));
        drop(scanner.tokens(text.as_bytes()));
    }
}

/// However many times a secret stands in a log, none is left.
#[test]
fn very_many_hits_are_all_redacted() {
    let text = format!("{KEY}\n").repeat(2 * HITS_MAX);
    let scanner = scanner();
    assert_eq!(scanner.scan(text.as_bytes()).len(), HITS_MAX);
    assert!(!scanner.redact(&text).as_str().contains("Qm4v"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// A secret planted in any bytes is found, in any encoding.
    #[test]
    fn planted_secret_is_found(
        before in prop::collection::vec(any::<u8>(), 0..40),
        after in prop::collection::vec(any::<u8>(), 0..40),
        secret in "[0-9][A-Za-z0-9+/_-]{7,39}",
        encoding in 0..5_usize,
    ) {
        let needle = Needle::new(NeedleKind::Credential, "k", Sensitive::new(secret.clone()));
        let scanner = Scanner::new([needle]);
        let raw = [&before[..], secret.as_bytes(), &after[..]].concat();
        let text = match encoding {
            0 => raw,
            1 => STANDARD.encode(&raw).into_bytes(),
            2 => raw.iter().map(|b| format!("{b:02x}")).collect::<String>().into_bytes(),
            3 => raw.iter().map(|b| format!("%{b:02x}")).collect::<String>().into_bytes(),
            _ => raw.iter().map(|b| format!("\\u{b:04X}")).collect::<String>().into_bytes(),
        };
        let hits = scanner.scan(&text);
        prop_assert!(!hits.is_empty());
        prop_assert!(hits.iter().all(|hit| hit.at.start < hit.at.end && hit.at.end <= text.len()));
    }

    /// Nothing of any needle is left in redacted text, however they overlap.
    #[test]
    fn redacted_text_holds_no_needle(
        secrets in prop::collection::vec("1[ab1]{7,11}", 1..5),
        text in "[ab1 %\\\\+&é]{0,200}",
        order in prop::collection::vec(0..5_usize, 0..8),
    ) {
        let needles = secrets.iter().enumerate().map(|(n, secret)| {
            Needle::new(NeedleKind::Credential, n.to_string(), Sensitive::new(secret.clone()))
        });
        let scanner = Scanner::new(needles);
        let mut text = text;
        for n in order {
            text.push_str(&secrets[n % secrets.len()]);
        }
        let redacted = scanner.redact(&text);
        for secret in &secrets {
            prop_assert!(!redacted.as_str().contains(secret.as_str()), "{redacted}");
        }
    }

    /// Whatever the bytes: no panic.
    #[test]
    fn any_bytes_are_scanned(bytes in prop::collection::vec(any::<u8>(), 0..300), text in any::<String>()) {
        let scanner = scanner();
        drop(scanner.scan(&bytes));
        drop(scanner.tokens(&bytes));
        drop(scanner.redact(&text));
    }
}
