//! Replies made to mislead: each is judged as a careful reader of the contract would, whole and byte by byte.
#![expect(clippy::too_many_lines, reason = "tables")]

use ContractVerdict::{Hold, Pass, Warn};
use Mode::{Stream, Unary};
use Surface::{Chat, Responses};
use contract::{
    BodyEnd, ContractVerdict, Dump, Judgement, Mode, Profile, ResponseJudge, Surface, judge_dump,
};

const NAMES: &str = r#""id":"a","object":"chat.completion.chunk","created":1780000000,"model":"m""#;

fn judge(surface: Surface, mode: Mode, body: &[u8], piece: usize) -> Judgement {
    let mut judge = ResponseJudge::new(surface, mode, Profile::Openai);
    let content_type: &[u8] =
        if mode == Unary { b"application/json" } else { b"text/event-stream" };
    judge.head(200, [("content-type", content_type)]);
    body.chunks(piece).for_each(|piece| judge.push(piece));
    judge.finish(BodyEnd::Complete).0
}

/// What is wrong with the judgement of a body; `code` is a finding that must be there, or empty.
fn fault(
    what: &str,
    surface: Surface,
    mode: Mode,
    body: &str,
    verdict: ContractVerdict,
    code: &str,
) -> Option<String> {
    let judgement = judge(surface, mode, body.as_bytes(), usize::MAX);
    let codes: Vec<_> = judgement.findings.iter().map(|finding| finding.code).collect();
    let is_right = judgement.verdict == verdict && (code.is_empty() || codes.contains(&code));
    let is_same = judge(surface, mode, body.as_bytes(), 1) == judgement;
    (!is_right || !is_same).then(|| {
        format!("{what}: want {verdict:?} {code}, got {:?} {:?} {codes:?}, the same byte by byte: {is_same}", judgement.verdict, judgement.completion)
    })
}

fn chat(message: &str, more: &str) -> String {
    format!(
        r#"{{"id":"a","object":"chat.completion","created":1780000000,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant",{message}}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}{more}}}"#
    )
}

fn chunk(index: u32, delta: &str, finish: &str) -> String {
    format!(
        "data: {{{NAMES},\"choices\":[{{\"index\":{index},\"delta\":{{{delta}}},\"finish_reason\":{finish}}}]}}\n\n"
    )
}

fn usage() -> String {
    format!(
        "data: {{{NAMES},\"choices\":[],\"usage\":{{\"prompt_tokens\":1,\"completion_tokens\":1,\"total_tokens\":2}}}}\n\n"
    )
}

#[test]
fn misleading_documents() {
    let hi = r#""content":"Hi""#;
    let good = chat(hi, "");
    let deep = |n: usize| chat(hi, &format!(",\"x\":{}1{}", "[".repeat(n), "]".repeat(n)));
    let rows = [
        ("a good reply", good.clone(), Pass, ""),
        (
            "content twice, the last is empty",
            chat(r#""content":"Hi","content":null"#, ""),
            Hold,
            "json-duplicate-key",
        ),
        ("choices twice, the last is empty", chat(hi, r#","choices":[]"#), Hold, "choices-empty"),
        (
            "an escaped key that repeats another",
            chat(hi, r#","\u0069d":"b""#),
            Warn,
            "json-duplicate-key",
        ),
        (
            "an error twice, the last is null",
            chat(hi, r#","error":{"message":"x"},"error":null"#),
            Warn,
            "json-duplicate-key",
        ),
        (
            "an error besides the answer",
            chat(hi, r#","error":{"message":"x","code":500}"#),
            Hold,
            "error-in-success",
        ),
        ("a number beyond a double", chat(hi, ",\"x\":1e999"), Pass, ""),
        (
            "created beyond 64 bits",
            good.replace("1780000000", "17800000000000000000000000"),
            Warn,
            "created-odd",
        ),
        ("created with an exponent", good.replace("1780000000", "1.78e9"), Warn, "created-odd"),
        (
            "a token count beyond 64 bits",
            good.replace("\"total_tokens\":2", "\"total_tokens\":99999999999999999999"),
            Warn,
            "usage-odd",
        ),
        (
            "counts that overflow their sum",
            good.replace("\"prompt_tokens\":1", "\"prompt_tokens\":9223372036854775807"),
            Warn,
            "usage-odd",
        ),
        (
            "half of a surrogate pair",
            chat(r#""content":"a\ud800""#, ""),
            Warn,
            "json-lone-surrogate",
        ),
        (
            "both halves in the wrong order",
            chat(r#""content":"\ude00\ud83d""#, ""),
            Warn,
            "json-lone-surrogate",
        ),
        ("NaN", chat(hi, ",\"x\":NaN"), Hold, "json-not-a-number"),
        ("negative infinity", chat(hi, ",\"x\":-Infinity"), Hold, "json-not-a-number"),
        ("a leading zero", chat(hi, ",\"x\":01"), Hold, "json-malformed"),
        ("a leading plus", chat(hi, ",\"x\":+1"), Hold, "json-malformed"),
        ("a comment", chat(hi, "/* x */"), Hold, "json-malformed"),
        ("a comma too many", chat(hi, ","), Hold, "json-malformed"),
        ("a raw line feed in a string", chat("\"content\":\"a\nb\"", ""), Hold, "json-malformed"),
        ("a null byte behind it", format!("{good}\0"), Hold, "json-trailing-bytes"),
        ("a web page behind it", format!("{good}<html>"), Hold, "json-trailing-bytes"),
        ("a second reply behind it", format!("{good}{good}"), Hold, "json-second-document"),
        ("[DONE] behind it", format!("{good}\n[DONE]"), Hold, "json-trailing-bytes"),
        ("a byte order mark", format!("\u{feff}{good}"), Warn, "json-byte-order-mark"),
        ("two byte order marks", format!("\u{feff}\u{feff}{good}"), Hold, ""),
        ("white space of Unicode before it", format!("\u{a0}{good}"), Hold, ""),
        ("nesting to the limit", deep(120), Pass, ""),
        ("nesting beyond the limit", deep(129), Hold, "json-too-complex"),
        ("text of invisible characters only", chat(r#""content":"\u200b\u200b""#, ""), Pass, ""),
        ("white space only", chat(r#""content":" \n\t ""#, ""), Hold, "no-usable-content"),
        (
            "a refusal beside the content",
            chat(r#""content":"Hi","refusal":"no""#, ""),
            Hold,
            "refusal",
        ),
        (
            "finish_reason of another case",
            good.replace("\"stop\"", "\"STOP\""),
            Warn,
            "finish-reason-alias",
        ),
        (
            "finish_reason with a space",
            good.replace("\"stop\"", "\"stop \""),
            Warn,
            "finish-reason-alias",
        ),
        (
            "finish_reason as an array",
            good.replace("\"stop\"", "[\"stop\"]"),
            Hold,
            "finish-reason-wrong-type",
        ),
        (
            "the choice in an array of its own",
            good.replace("[{\"index\"", "[[{\"index\"").replace("\"stop\"}]", "\"stop\"}]]"),
            Hold,
            "choices-wrong-type",
        ),
        (
            "choices as an object",
            good.replace("[{\"index\"", "{\"0\":{\"index\"").replace("\"stop\"}]", "\"stop\"}}"),
            Hold,
            "choices-wrong-type",
        ),
        (
            "arguments cut",
            chat(
                r#""content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\":1"}}]"#,
                "",
            ),
            Hold,
            "arguments-broken",
        ),
        (
            "arguments that are two documents",
            chat(
                r#""content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"f","arguments":"{}{}"}}]"#,
                "",
            ),
            Hold,
            "arguments-broken",
        ),
        (
            "a responses reply",
            r#"{"id":"r","object":"response","status":"completed","output":[]}"#.to_owned(),
            Hold,
            "wrong-surface",
        ),
        ("a reply of both surfaces", chat(hi, r#","output":[],"status":"failed""#), Pass, ""),
        (
            "success false beside an answer",
            chat(hi, r#","success":false"#),
            Hold,
            "error-in-success",
        ),
    ];
    let faults: Vec<_> = rows
        .iter()
        .filter_map(|(what, body, verdict, code)| fault(what, Chat, Unary, body, *verdict, code))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn misleading_chat_streams() {
    let role = chunk(0, r#""role":"assistant","content":"""#, "null");
    let hi = chunk(0, r#""content":"Hi""#, "null");
    let stop = chunk(0, "", "\"stop\"");
    let done = "data: [DONE]\n\n";
    let other = |text: &str| text.replace("\"index\":0", "\"index\":1");
    let call = |index: u32, more: &str, text: &str| {
        let name = if more.is_empty() { "" } else { "\"name\":\"f\"," };
        chunk(
            0,
            &format!(
                r#""tool_calls":[{{"index":{index}{more},"function":{{{name}"arguments":"{text}"}}}}]"#
            ),
            "null",
        )
    };
    let tools = chunk(0, "", "\"tool_calls\"");
    let id = r#","id":"c","type":"function""#;
    let rows = [
        ("a good stream", format!("{role}{hi}{stop}{}{done}", usage()), Pass, ""),
        (
            "two finish reasons that agree",
            format!("{role}{hi}{stop}{stop}{done}"),
            Warn,
            "finish-reason-twice",
        ),
        (
            "two finish reasons that do not",
            format!("{role}{hi}{stop}{}{done}", chunk(0, "", "\"length\"")),
            Hold,
            "finish-reason-conflict",
        ),
        (
            "two choices in turns",
            format!(
                "{role}{}{hi}{}{hi}{}{stop}{}{done}",
                other(&role),
                other(&hi),
                other(&hi),
                other(&stop)
            ),
            Warn,
            "choices-extra",
        ),
        (
            "two choices of which one never ends",
            format!("{role}{}{hi}{}{stop}{done}", other(&role), other(&hi)),
            Hold,
            "finish-reason-missing",
        ),
        (
            "usage before the finish",
            format!("{role}{hi}{}{stop}{done}", usage()),
            Warn,
            "usage-misplaced",
        ),
        (
            "[DONE] before the finish, then the rest",
            format!("{role}{hi}{done}{stop}"),
            Hold,
            "done-before-finish",
        ),
        ("[DONE] twice", format!("{role}{hi}{stop}{done}{done}"), Warn, "data-after-done"),
        (
            "a whole second answer behind [DONE]",
            format!("{role}{hi}{stop}{done}{role}{hi}{stop}{done}"),
            Warn,
            "data-after-done",
        ),
        ("no role", format!("{hi}{stop}{done}"), Warn, "role-missing"),
        (
            "text behind the finish",
            format!("{role}{hi}{stop}{hi}{done}"),
            Warn,
            "content-after-finish",
        ),
        (
            "text behind the finish, once more",
            format!("{role}{hi}{hi}{stop}{hi}{done}"),
            Warn,
            "content-after-finish",
        ),
        ("nothing but a finish", format!("{role}{stop}{done}"), Hold, "no-usable-content"),
        (
            "an id that changes and changes back",
            format!("{role}{hi}{}{hi}{stop}{done}", hi.replace("\"a\"", "\"b\"")),
            Warn,
            "id-changed",
        ),
        (
            "a model that changes",
            format!("{role}{hi}{}{stop}{done}", hi.replace("\"m\"", "\"n\"")),
            Warn,
            "model-changed",
        ),
        (
            "a gap in the calls",
            format!(
                "{role}{}{}{tools}{done}",
                call(0, id, "{}"),
                call(2, &id.replace('c', "d"), "{}")
            ),
            Warn,
            "tool-call-index-gap",
        ),
        (
            "two calls at one index",
            format!(
                "{role}{}{}{tools}{done}",
                call(0, id, "{}"),
                call(0, ",\"id\":\"other\"", "{}")
            ),
            Hold,
            "tool-call-index-shared",
        ),
        (
            "two calls in turns at one index",
            format!(
                "{role}{a}{b}{a}{b}{tools}{done}",
                a = call(0, id, "{}"),
                b = call(0, ",\"id\":\"other\"", "{}")
            ),
            Hold,
            "tool-call-index-shared",
        ),
        (
            "arguments that never close",
            format!(
                "{role}{}{}{}{tools}{done}",
                call(0, id, "{"),
                call(0, "", "\\\"a\\\""),
                call(0, "", ":")
            ),
            Hold,
            "arguments-broken",
        ),
        (
            "arguments in many parts",
            format!(
                "{role}{}{}{}{}{tools}{done}",
                call(0, id, "{"),
                call(0, "", "\\\"a\\\""),
                call(0, "", ":"),
                call(0, "", "1}")
            ),
            Pass,
            "",
        ),
        (
            "an error between two texts",
            format!(
                "{role}{hi}data: {{\"error\":{{\"message\":\"x\",\"code\":500}}}}\n\n{hi}{stop}{done}"
            ),
            Hold,
            "stream-error",
        ),
        (
            "an error behind [DONE]",
            format!("{role}{hi}{stop}{done}data: {{\"error\":{{\"message\":\"x\"}}}}\n\n"),
            Warn,
            "data-after-done",
        ),
        (
            "a web page in the middle",
            format!("{role}{hi}<html>\n<body>\n\n{stop}{done}"),
            Hold,
            "body-html",
        ),
        (
            "broken JSON in the middle",
            format!("{role}{hi}data: {{\"id\":\n\n{stop}{done}"),
            Hold,
            "event-not-json",
        ),
        (
            "a chunk of the other surface",
            format!(
                "{role}{hi}data: {{\"type\":\"response.completed\",\"response\":{{}}}}\n\n{stop}{done}"
            ),
            Hold,
            "wrong-surface",
        ),
        (
            "a unary reply as an event",
            format!("data: {}\n\n{done}", chat("\"content\":\"Hi\"", "")),
            Hold,
            "message-in-stream",
        ),
        (
            "a length limit",
            format!("{role}{hi}{}{done}", chunk(0, "", "\"length\"")),
            Warn,
            "finish-length",
        ),
        (
            "a key twice in one repetition",
            format!(
                "{role}{hi}{hi}{}{stop}{done}",
                chunk(0, r#""content":"a","content":"b""#, "null")
            ),
            Warn,
            "json-duplicate-key",
        ),
        (
            "half a pair in one repetition",
            format!("{role}{hi}{hi}{}{stop}{done}", chunk(0, r#""content":"\ud83d""#, "null")),
            Warn,
            "json-lone-surrogate",
        ),
    ];
    let faults: Vec<_> = rows
        .iter()
        .filter_map(|(what, body, verdict, code)| fault(what, Chat, Stream, body, *verdict, code))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn misleading_responses_streams() {
    let event = |number: u32, kind: &str, fields: &str| {
        format!(
            "event: response.{kind}\ndata: {{\"type\":\"response.{kind}\",\"sequence_number\":{number},{fields}}}\n\n"
        )
    };
    let response = |status: &str, output: &str| {
        format!(
            r#""response":{{"id":"r","object":"response","created_at":1780000000,"status":"{status}","model":"m","output":[{output}],"usage":{{"input_tokens":1,"output_tokens":1,"total_tokens":2}}}}"#
        )
    };
    let place = r#""item_id":"i","output_index":0,"content_index":0"#;
    let item = |status: &str, content: &str| {
        format!(
            r#"{{"id":"i","type":"message","role":"assistant","status":"{status}","content":[{content}]}}"#
        )
    };
    let part = |text: &str| format!(r#"{{"type":"output_text","text":"{text}","annotations":[]}}"#);
    let created = event(0, "created", &response("in_progress", ""));
    let added = event(
        1,
        "output_item.added",
        &format!(r#""output_index":0,"item":{}"#, item("in_progress", "")),
    );
    let part_added = event(2, "content_part.added", &format!(r#"{place},"part":{}"#, part("")));
    let delta = |number, text: &str| {
        event(number, "output_text.delta", &format!(r#"{place},"delta":"{text}""#))
    };
    let text_done = |number, text: &str| {
        event(number, "output_text.done", &format!(r#"{place},"text":"{text}""#))
    };
    let item_done = |number, text: &str| {
        event(
            number,
            "output_item.done",
            &format!(r#""output_index":0,"item":{}"#, item("completed", &part(text))),
        )
    };
    let completed = |number, text: &str| {
        event(number, "completed", &response("completed", &item("completed", &part(text))))
    };
    let head = format!("{created}{added}{part_added}");
    let body = format!("{head}{}{}", delta(3, "He"), delta(4, "y"));
    let rows = [
        (
            "a good stream",
            format!("{body}{}{}{}", text_done(5, "Hey"), item_done(6, "Hey"), completed(7, "Hey")),
            Pass,
            "",
        ),
        (
            "deltas in the wrong order",
            format!(
                "{head}{}{}{}{}{}",
                delta(4, "y"),
                delta(3, "He"),
                text_done(5, "Hey"),
                item_done(6, "Hey"),
                completed(7, "Hey")
            ),
            Hold,
            "done-differs-from-deltas",
        ),
        (
            "a delta twice",
            format!(
                "{body}{}{}{}{}",
                delta(5, "y"),
                text_done(6, "Hey"),
                item_done(7, "Hey"),
                completed(8, "Hey")
            ),
            Hold,
            "done-differs-from-deltas",
        ),
        (
            "a number left out",
            format!(
                "{head}{}{}{}{}{}",
                delta(3, "He"),
                delta(5, "y"),
                text_done(6, "Hey"),
                item_done(7, "Hey"),
                completed(8, "Hey")
            ),
            Warn,
            "sequence-odd",
        ),
        (
            "another text at the end",
            format!("{body}{}{}{}", text_done(5, "Hey"), item_done(6, "Hey"), completed(7, "Hoy")),
            Hold,
            "terminal-differs-from-deltas",
        ),
        (
            "no terminal event, but [DONE]",
            format!("{body}{}{}data: [DONE]\n\n", text_done(5, "Hey"), item_done(6, "Hey")),
            Hold,
            "terminal-missing",
        ),
        ("a terminal event first", format!("{}{body}", completed(0, "Hey")), Warn, ""),
        (
            "two terminal events",
            format!(
                "{body}{}{}{}{}",
                text_done(5, "Hey"),
                item_done(6, "Hey"),
                completed(7, "Hey"),
                completed(8, "Hey")
            ),
            Hold,
            "terminal-twice",
        ),
        (
            "completed that says failed",
            format!("{body}{}", event(5, "completed", &response("failed", ""))),
            Hold,
            "terminal-status-disagrees",
        ),
        (
            "completed behind an error",
            format!(
                "{body}event: error\ndata: {{\"type\":\"error\",\"message\":\"x\",\"sequence_number\":5}}\n\n{}",
                completed(6, "Hey")
            ),
            Hold,
            "stream-error",
        ),
        (
            "another response at the end",
            format!(
                "{body}{}{}{}",
                text_done(5, "Hey"),
                item_done(6, "Hey"),
                completed(7, "Hey").replace("\"id\":\"r\"", "\"id\":\"s\"")
            ),
            Hold,
            "response-id-changed",
        ),
        (
            "an item without its end",
            format!("{body}{}{}", text_done(5, "Hey"), completed(6, "Hey")),
            Warn,
            "item-not-done",
        ),
        (
            "chunks of the other surface",
            chunk(0, r#""content":"Hi""#, "\"stop\""),
            Hold,
            "wrong-surface",
        ),
    ];
    let faults: Vec<_> = rows
        .iter()
        .filter_map(|(what, body, verdict, code)| {
            fault(what, Responses, Stream, body, *verdict, code)
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn misleading_heads() {
    let good = chat(r#""content":"Hi""#, "");
    let json = "Content-Type: application/json\r\n";
    let rows = [
        (format!("HTTP/1.1 204 No Content\r\n{json}\r\n"), Hold, "body-empty"),
        (format!("HTTP/1.1 206 Partial Content\r\n{json}\r\n{good}"), Warn, "status-unexpected"),
        (format!("HTTP/1.1 200 OK\r\n{json}Content-Length: 9999\r\n\r\n{good}"), Hold, "body-cut"),
        (format!("HTTP/1.1 200 OK\r\n{json}Content-Length: x\r\n\r\n{good}"), Pass, ""),
        (
            format!("HTTP/1.1 200 OK\r\n{json}Content-Encoding: gzip\r\n\r\n{good}"),
            Hold,
            "encoding-false",
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{json}Content-Encoding: br\r\n\r\n\u{b}\u{2}{good}"),
            Hold,
            "encoding-unread",
        ),
        (
            format!("HTTP/1.1 200 OK\r\n{json}Content-Encoding: br\r\n\r\n{good}"),
            Hold,
            "encoding-false",
        ),
        (
            format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{good}"),
            Warn,
            "content-type-odd",
        ),
        (format!("HTTP/1.1 200 OK\r\n{json}{json}\r\n{good}"), Pass, ""),
        (format!("HTTP/1.1 101 Switching Protocols\r\n{json}\r\n{good}"), Hold, "error-status"),
        (format!("HTTP/1.1 500 Oops\r\n{json}\r\n{good}"), Hold, "error-status"),
    ];
    for (dump, verdict, code) in rows {
        let judgement = judge_dump(Chat, Unary, Profile::Openai, &Dump::parse(dump.as_bytes()));
        let codes: Vec<_> = judgement.findings.iter().map(|finding| finding.code).collect();
        let has_code = code.is_empty() || codes.contains(&code);
        assert!(
            judgement.verdict == verdict && has_code,
            "{dump}: want {verdict:?} {code}, got {:?} {codes:?}",
            judgement.verdict
        );
    }
}
