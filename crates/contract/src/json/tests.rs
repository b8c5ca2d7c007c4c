//! The JSON reader, held against serde_json.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(text: &[u8], expected: Result<Kind, JsonFault>) {
    assert_eq!(Tape::default().read(text).map(Value::kind), expected, "{}", text.escape_ascii());
}

#[test]
fn faults_are_told_apart() {
    check(b"", Err(JsonFault::Empty));
    check(b" {} ", Ok(Kind::OBJECT));
    check(b"{\"a\":", Err(JsonFault::Truncated));
    check(b"{\"a\":\"\\ud83d", Err(JsonFault::Truncated));
    check(b"[\"\xe4\xb8", Err(JsonFault::Truncated));
    check(b"[\"\xe9\"]", Err(JsonFault::Utf8));
    check(b"{\"a\":NaN}", Err(JsonFault::NotANumber));
    check(b"[-Infinity]", Err(JsonFault::NotANumber));
    check(b"{} {}", Err(JsonFault::SecondDocument));
    check(b"{}<!-- -->", Err(JsonFault::Trailing));
    check("{}".repeat(1_000_000).as_bytes(), Err(JsonFault::SecondDocument));
    check(b"[01]", Err(JsonFault::Malformed));
    check(b"[\"\n\"]", Err(JsonFault::Malformed));
    check("[".repeat(1000).as_bytes(), Err(JsonFault::TooDeep));
}

#[test]
fn duplicates_and_half_pairs_are_noted() {
    let mut tape = Tape::default();
    let value = tape.read(br#"{"a":{"x":1,"\u0078":2}}"#).unwrap();
    assert!(value.has_duplicate_key() && !value.has_lone_surrogate());
    assert_eq!(value.get("a").unwrap().get("x").unwrap().integer(), Some(2));
    let value = tape.read(br#"["\ud83dx","\ud83d\ude00"]"#).unwrap();
    assert!(value.has_lone_surrogate() && !value.has_duplicate_key());
    let texts: Vec<_> = value.items().filter_map(Value::text).collect();
    assert_eq!(texts, ["\u{fffd}x", "😀"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn agrees_with_serde_json(text in r#"[\[\]{}:,"\\u0-9a-f .eE+\-tn]{0,24}"#) {
        let ours = Tape::default().read(text.as_bytes()).map(|v| v.has_lone_surrogate());
        let theirs = serde_json::from_str::<serde_json::Value>(&text);
        // serde_json refuses half pairs and numbers beyond a float; we take the first and note it.
        match ours {
            Ok(true) => {}
            Ok(false) => prop_assert!(theirs.is_ok() || theirs.unwrap_err().to_string().contains("out of range")),
            Err(_) => prop_assert!(theirs.is_err()),
        }
    }

    #[test]
    fn strings_survive(text in any::<String>()) {
        let json = serde_json::to_string(&text).unwrap();
        let mut tape = Tape::default();
        prop_assert_eq!(tape.read(json.as_bytes()).unwrap().text().unwrap().into_owned(), text);
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let n_faults = usize::from(Tape::default().read(&bytes).is_err());
        prop_assert!(n_faults <= 1);
    }
}
