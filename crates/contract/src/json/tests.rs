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

/// Elements of an array, some of which repeat the one before.
const ELEMENTS: &[&str] = &[
    r#"{"a":1,"b":"x"}"#,
    r#"{"a":22,"b":"yy"}"#,
    r#"{ "a" : 3 , "b" : "\u0041" }"#,
    r#"{"a":1,"b":""}"#,
    r#"{"a":1.5,"b":"x"}"#,
    r#"{"a":1}"#,
    r#"{"a":1,"b":"x","c":null}"#,
    r#"{"b":"x","a":1}"#,
    r#"{"\u0061":1,"b":"x"}"#,
    r#"{"a":1,"a":2}"#,
    r#"{"a":1,"b":"x","a":2}"#,
    r#"{"a":[1,2],"b":[]}"#,
    r#"{"a":[1,2,3],"b":[]}"#,
    r#"{"a":[1,2.5],"b":[]}"#,
    r#"{"a":[],"b":[1]}"#,
    r#"{"a":{"a":1},"b":{}}"#,
    r#"{"a":{"a":true},"b":{}}"#,
    r#"{"a":{"b":1},"b":{"b":1}}"#,
    r#"[{"a":1},{"a":2}]"#,
    r#"[{"a":1},{"b":2}]"#,
    "[]",
    "{}",
    "7",
    "123456789",
    "-1",
    "\"x\"",
    "null",
];

/// The elements of a few arrays.
fn arrays() -> impl Strategy<Value = Vec<Vec<&'static str>>> {
    let element = proptest::sample::select(ELEMENTS);
    proptest::collection::vec(proptest::collection::vec(element, 0..8), 1..4)
}

/// Returns these arrays in one.
fn written(arrays: &[Vec<&str>]) -> String {
    let arrays: Vec<_> = arrays.iter().map(|array| format!("[{}]", array.join(","))).collect();
    format!("[{}]", arrays.join(", "))
}

/// Returns what a tape has of a value, but for its place and whether it repeats another one.
fn nodes(value: Value<'_>) -> Vec<(Tag, u8, String, u32)> {
    let first = u32::try_from(value.index).unwrap();
    let of = |index: u32| {
        let value = value.at(index as usize);
        let node = value.node;
        (node.tag, node.glance, value.raw().to_owned(), node.next - first)
    };
    (first..value.node.next).map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn elements_are_read_as_if_none_stood_before(arrays in arrays()) {
        let text = written(&arrays);
        let (mut tape, mut tape_alone) = (Tape::default(), Tape::default());
        let whole = tape.read(text.as_bytes()).unwrap();
        let mut has_duplicate_key = false;
        let elements = whole.items().flat_map(Value::items);
        let elements: Vec<_> = elements.collect();
        prop_assert_eq!(elements.len(), arrays.iter().flatten().count());
        for (element, alone) in elements.into_iter().zip(arrays.iter().flatten()) {
            let alone = tape_alone.read(alone.as_bytes()).unwrap();
            prop_assert_eq!(nodes(element), nodes(alone), "{}", text);
            has_duplicate_key |= alone.has_duplicate_key();
        }
        prop_assert_eq!(whole.has_duplicate_key(), has_duplicate_key);
    }

    #[test]
    fn what_repeats_adds_nothing_to_a_shape(arrays in arrays()) {
        let text = written(&arrays);
        let mut tape = Tape::default();
        tape.read(text.as_bytes()).unwrap();
        let shape = crate::Shape::of_value(tape.document(&text));
        tape.nodes.iter_mut().for_each(|node| node.repeats = false);
        prop_assert_eq!(shape, crate::Shape::of_value(tape.document(&text)), "{}", text);
    }

    #[test]
    fn numbers_are_those_of_serde_json(numbers in proptest::collection::vec("-?[0-9]{1,10}([.][0-9]{0,9})?(e[+-]?[0-9]{0,2})?", 1..6), separator in " ?, ?") {
        let text = format!("[{}]", numbers.join(&separator));
        let mut tape = Tape::default();
        let ours = tape.read(text.as_bytes());
        let theirs = serde_json::from_str::<Vec<serde_json::Number>>(&text);
        prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{}", text);
        for (ours, number) in ours.into_iter().flat_map(Value::items).zip(&numbers) {
            let is_whole = !number.contains(['.', 'e']);
            prop_assert_eq!(ours.raw(), number);
            prop_assert_eq!(ours.kind() == Kind::INTEGER, is_whole, "{}", text);
            prop_assert_eq!(ours.integer(), is_whole.then(|| number.parse().ok()).flatten());
        }
    }
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
