use super::*;

const VALUES: Values<'_> = Values { name: "sy_x", expiration: 0 };

fn rendered(text: &str) -> String {
    Template::parse(text).expect(text).statement(VALUES).to_string()
}

fn refusal(text: &str) -> (usize, Reason) {
    let error = Template::parse(text).expect_err(text);
    (error.position, error.reason)
}

#[test]
fn placeholders_become_pieces_of_their_kind() {
    assert_eq!(
        rendered(
            "CREATE ROLE {{name}} LOGIN PASSWORD {{password_verifier}} VALID UNTIL {{expiration}}"
        ),
        "CREATE ROLE <identifier sy_x> LOGIN PASSWORD <material password_verifier> \
         VALID UNTIL <literal 1970-01-01 00:00:00+00>"
    );
}

#[test]
fn what_surrounds_a_placeholder_stays_as_it_was() {
    for (text, expected) in [
        ("GRANT a TO {{name}},{{name}}", "GRANT a TO <identifier sy_x>,<identifier sy_x>"),
        ("f({{name}});", "f(<identifier sy_x>)"),
        ("a{{name}} ", ""),
        ("x /* ; */ {{name}} -- ; no more", "x /* ; */ <identifier sy_x> -- ; no more"),
        ("'it''s' {{name}}", "'it''s' <identifier sy_x>"),
        (r"E'\'; {' {{name}}", r"E'\'; {' <identifier sy_x>"),
        ("a$b$c {{name}} b$", "a$b$c <identifier sy_x> b$"),
        ("$$;$$ {{name}} $t$ $$ ; $t$", "$$;$$ <identifier sy_x> $t$ $$ ; $t$"),
        ("/* /* */ ' */ {{name}}", "/* /* */ ' */ <identifier sy_x>"),
        (r#"U&"\0441" U&'\'"#, r#"U&"\0441" U&'\'"#),
        ("'{{1,2},{3,4}}' {{name}}", "'{{1,2},{3,4}}' <identifier sy_x>"),
        ("naïve\u{a0}größe {{name}}", "naïve\u{a0}größe <identifier sy_x>"),
    ] {
        match Template::parse(text) {
            Ok(template) => assert_eq!(template.statement(VALUES).to_string(), expected, "{text}"),
            Err(error) => assert!(expected.is_empty(), "{text}: {error}"),
        }
    }
}

#[test]
fn a_placeholder_in_quotes_is_refused_where_it_stands() {
    for (text, position) in [
        ("PASSWORD '{{password_verifier}}'", 11),
        ("CREATE ROLE \"{{name}}\"", 14),
        ("DO $$ x {{name}} $$", 9),
        ("DO $body$ x {{ name }} $body$", 13),
        ("x -- {{name}}", 6),
        ("x /* {{name}} */", 6),
        ("x /* /* */ {{name}} */", 12),
        (r"E'\'{{name}}'", 5),
        ("E'a'\n 'b\\'{{name}}'", 11),
        ("E'a' -- c\n 'b\\'{{name}}'", 16),
        ("'ä' '{{name}}'", 6),
        ("U&\"{{name}}\"", 4),
        ("U&'{{expiration}}'", 4),
        ("B'{{name}}'", 3),
        ("'{{other}}'", 2),
    ] {
        assert_eq!(refusal(text), (position, Reason::Quoted), "{text}");
    }
}

#[test]
fn what_is_no_template_is_refused_where_it_goes_wrong() {
    for (text, position, reason) in [
        ("", 1, Reason::Empty),
        (" \n-- x", 1, Reason::Empty),
        (" ; ", 1, Reason::Empty),
        ("a; b", 4, Reason::SecondStatement),
        ("a;;", 3, Reason::SecondStatement),
        ("a {{role}}", 3, Reason::Unknown),
        ("a {{ name }}", 3, Reason::Unknown),
        ("a {{Name}}", 3, Reason::Unknown),
        ("a {{name}", 3, Reason::Unknown),
        ("a {{name", 3, Reason::Unknown),
        ("a {name}", 3, Reason::Unknown),
        ("a }} b", 3, Reason::Unknown),
        ("a {{{name}}}", 3, Reason::Unknown),
        ("x_{{name}}", 3, Reason::Touching),
        ("{{name}}_x", 1, Reason::Touching),
        ("{{name}}{{name}}", 1, Reason::Touching),
        ("E{{password_verifier}}", 2, Reason::Touching),
        ("U&{{name}}", 3, Reason::Touching),
        ("{{name}}'x'", 1, Reason::Touching),
        ("'x'{{name}}", 4, Reason::Touching),
        ("\"x\"{{name}}", 4, Reason::Touching),
        ("$1{{name}}", 3, Reason::Touching),
        ("E'x'\n {{expiration}}", 7, Reason::Touching),
        ("{{expiration}} -- c\n'x'", 1, Reason::Touching),
        ("{{expiration}}\n{{expiration}}", 1, Reason::Touching),
        ("$${{name}}$$", 3, Reason::Quoted),
        ("'a", 1, Reason::Unterminated),
        ("x 'a''", 3, Reason::Unterminated),
        ("x \"a", 3, Reason::Unterminated),
        (r"E'\'", 1, Reason::Unterminated),
        (r"E'\", 1, Reason::Unterminated),
        ("x $a$ $b$", 3, Reason::Unterminated),
        ("x /* /* */", 3, Reason::Unterminated),
        (r"'C:\'", 4, Reason::Backslash),
        ("x\0y", 2, Reason::Nul),
        ("'x\0y'", 3, Reason::Nul),
    ] {
        assert_eq!(refusal(text), (position, reason), "{text:?}");
    }
    assert_eq!(refusal(&"x".repeat(20_000)).1, Reason::TooLarge);
}

#[test]
fn a_template_in_a_configuration_says_where_it_is_wrong() {
    let error = serde_json::from_str::<Template>(r#""DROP ROLE '{{name}}'""#).expect_err("quoted");
    assert!(error.to_string().contains("at character 12"), "{error}");
}

#[test]
fn a_template_knows_its_placeholders() {
    let template = Template::parse("DROP ROLE {{name}}").expect("a template");
    assert!(template.has(Placeholder::Name) && !template.has(Placeholder::PasswordVerifier));
}

/// A generator of numbers that gives the same on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const BARE: &[&str] = &[
    "CREATE", "a$b$", "größe", "$1", "12", "(", ")", ",", "::", "<>", "-", "/", "*", "=", "e", "U",
];
/// What may stand in quotes, besides what would end them.
const INSIDE: &[&str] =
    &["x", ";", "--", "/ *", " ", "\n", "$", "{", "}", "ü", "DROP ROLE", "{{1}}", "e", "&"];
const PLACEHOLDERS: &[&str] = &["{{name}}", "{{password_verifier}}", "{{expiration}}"];

/// Something quoted, with `middle` somewhere inside: its opening, its contents, its end.
fn quoted(chance: &mut Chance, middle: &str) -> (String, String, &'static str) {
    let (open, close, escaped): (&str, &str, &[&str]) = match chance.below(8) {
        0 => ("'", "'", &["''", "\"", "$$"]),
        1 => ("E'", "'", &["''", "\\'", "\\\\", "\""]),
        2 => ("\"", "\"", &["\"\"", "'", "\\"]),
        3 => ("$$", "$$", &["'", "\"", "$x$", "\\"]),
        4 => ("$tag$", "$tag$", &["'", "$$", "$other$", "/*"]),
        5 => ("/*", "*/", &["'", "\"", "/* ' */", "$$", "/* /* */ */"]),
        6 => ("--", "\n", &["'", "\"", "$$", "/*"]),
        _ => ("U&'", "'", &["''", "\\", "\""]),
    };
    let mut contents = String::new();
    for part in 0..4 {
        let piece = if chance.below(2) == 0 { chance.of(INSIDE) } else { chance.of(escaped) };
        // What would close it does not fit; blanks keep dollars, slashes and stars apart.
        let closes = match open {
            "$$" => piece.contains('$'),
            "--" => piece.contains('\n'),
            _ => false,
        };
        contents.push_str(if closes { "y" } else { piece });
        if open.starts_with('$') || open == "/*" {
            contents.push(' ');
        }
        if part == 1 {
            contents.push_str(middle);
        }
    }
    (open.to_owned(), contents, close)
}

/// Builds statements of which it is known what is in quotes, and holds the parser against that.
#[test]
fn quotes_are_told_from_what_is_outside_however_they_are_mixed() {
    let mut chance = Chance(42);
    for round in 0..20_000 {
        let (mut text, mut placeholders) = ("x ".to_owned(), 0);
        let spoiled = (chance.below(3) == 0).then(|| chance.below(6));
        let mut expected = None;
        for part in 0..6 {
            let spoil = if spoiled == Some(part) { chance.of(PLACEHOLDERS) } else { "" };
            if !spoil.is_empty() || chance.below(2) == 0 {
                let (open, contents, close) = quoted(&mut chance, spoil);
                if let Some(at) = contents.find(spoil).filter(|_| !spoil.is_empty()) {
                    let before = format!("{text}{open}{}", &contents[..at]);
                    expected = expected.or(Some(before.chars().count() + 1));
                }
                text.push_str(&format!("{open}{contents}{close}"));
            } else if chance.below(2) == 0 {
                text.push_str(chance.of(PLACEHOLDERS));
                placeholders += 1;
            } else {
                text.push_str(chance.of(BARE));
            }
            // A blank keeps what comes next apart; one without a line's end, so that no string
            // continues the one before.
            text.push_str(" , ");
        }
        match (Template::parse(&text), expected) {
            (Ok(template), None) => {
                let found = template.pieces.iter().filter(|p| matches!(p, Piece::Placeholder(_)));
                assert_eq!(found.count(), placeholders, "round {round}: {text}");
            }
            (Err(error), Some(position)) => {
                assert_eq!((error.position, error.reason), (position, Reason::Quoted), "{text}");
            }
            (outcome, expected) => panic!("round {round}: {outcome:?}, not {expected:?}: {text}"),
        }
    }
}

/// Whatever the text is, parsing ends, and what is accepted is the text with its placeholders.
#[test]
fn what_is_accepted_is_the_text_that_was_written() {
    let mut chance = Chance(7);
    let alphabet = [
        "'",
        "\"",
        "$",
        "$$",
        "$a$",
        "/*",
        "*/",
        "--",
        "\n",
        "\\",
        "E",
        "U&",
        "{{",
        "}}",
        "{{name}}",
        ";",
        " ",
        "x",
        "ü",
        "{{expiration}}",
        "1",
    ];
    let mut accepted = 0;
    for _ in 0..50_000 {
        let text: String = (0..chance.below(12)).map(|_| chance.of(&alphabet)).collect();
        let Ok(template) = Template::parse(&text) else { continue };
        accepted += 1;
        let again: String = template
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Placeholder(Placeholder::Name) => "{{name}}",
                Piece::Placeholder(Placeholder::PasswordVerifier) => "{{password_verifier}}",
                Piece::Placeholder(Placeholder::Expiration) => "{{expiration}}",
            })
            .collect();
        let ended = |(at, _)| again == format!("{}{}", &text[..at], &text[at + 1..]);
        assert!(again == text || text.match_indices(';').any(ended), "{text:?} became {again:?}");
    }
    assert!(accepted > 1000, "{accepted}");
}
