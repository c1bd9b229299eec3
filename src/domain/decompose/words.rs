//! Words of a text, and which of them are forms of a keyword.
//!
//! Invariant: matching is on whole tokens; `auth` is never found in `author`.
//! Source: domain 5.1.

/// Endings that a keyword may have as it is.
const ENDINGS: [&str; 8] = ["s", "es", "d", "ed", "ing", "ion", "ation", "ment"];
/// Endings that take the place of a final `e`.
const WITHOUT_E: [&str; 4] = ["ing", "ed", "ion", "ation"];
/// Endings behind a doubled consonant.
const DOUBLED: [&str; 2] = ["ed", "ing"];
/// Endings that take the place of a final `y`.
const WITHOUT_Y: [&str; 2] = ["ies", "ied"];

/// Maximal runs of letters, digits and `_`, lower-cased.
#[must_use]
pub fn tokens(text: &str) -> Vec<String> {
    text.split(|letter: char| !(letter.is_alphanumeric() || letter == '_'))
        .filter(|run| !run.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// Whether a token is a form of a keyword; both are lower-case.
#[must_use]
pub fn is_form(token: &str, keyword: &str) -> bool {
    if token == keyword {
        return true;
    }
    let ends = |stem: &str, endings: &[&str]| {
        token.strip_prefix(stem).is_some_and(|rest| {
            let again = rest.strip_suffix('s');
            endings.contains(&rest) || again.is_some_and(|ending| endings.contains(&ending))
        })
    };
    if ends(keyword, &ENDINGS) {
        return true;
    }
    let letters: Vec<char> = keyword.chars().collect();
    let Some((last, before)) = letters.split_last() else { return false };
    let stem = &keyword[..keyword.len() - last.len_utf8()];
    if *last == 'e' && letters.len() > 3 && ends(stem, &WITHOUT_E) {
        return true;
    }
    let follows_consonant = before.last().is_some_and(|letter| !is_vowel(*letter));
    if *last == 'y' && follows_consonant && ends(stem, &WITHOUT_Y) {
        return true;
    }
    let is_single = match before {
        [.., second, first] => is_vowel(*first) && !is_vowel(*second),
        [first] => is_vowel(*first),
        [] => false,
    };
    let doubles = is_single && last.is_alphabetic() && !is_vowel(*last) && !"wxy".contains(*last);
    doubles && ends(&format!("{keyword}{last}"), &DOUBLED)
}

const fn is_vowel(letter: char) -> bool {
    matches!(letter, 'a' | 'e' | 'i' | 'o' | 'u')
}

/// Whether a keyword or a phrase, of lower-case words with spaces between them, is in these tokens.
#[must_use]
pub fn has(tokens: &[String], phrase: &str) -> bool {
    let words: Vec<&str> = phrase.split_whitespace().collect();
    let fits =
        |window: &[String]| window.iter().zip(&words).all(|(token, word)| is_form(token, word));
    !words.is_empty() && tokens.windows(words.len()).any(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// T12: forms are found as whole words, and what only looks like one is not.
    #[test]
    fn forms_are_found_and_neighbours_are_not() {
        for (word, keyword) in [
            ("tests", "test"),
            ("planning", "plan"),
            ("configuration", "configure"),
            ("apis", "api"),
            ("deployments", "deploy"),
            ("integrations", "integrate"),
            ("architected", "architect"),
            ("auditing", "audit"),
            ("queries", "query"),
            ("queried", "query"),
            ("databases", "database"),
            ("used", "use"),
            ("boxes", "box"),
            ("creation", "create"),
            ("plannings", "plan"),
        ] {
            assert!(is_form(word, keyword), "{word} is a form of {keyword}");
        }
        for (word, keyword) in [
            ("author", "auth"),
            ("build", "ui"),
            ("require", "ui"),
            ("rebuild", "build"),
            ("latest", "test"),
            ("contest", "test"),
            ("playying", "play"),
            ("plaies", "play"),
            ("boxxed", "box"),
            ("needded", "need"),
            ("", "test"),
        ] {
            assert!(!is_form(word, keyword), "{word} is no form of {keyword}");
        }
        assert!(!is_form("ion", "e") && !is_form("using", "use"), "too short to lose its end");
        let text = tokens("Rebuild the author page as required");
        for keyword in ["auth", "ui", "model", "crud", "interface"] {
            assert!(!has(&text, keyword), "{keyword}");
        }
        assert!(has(&tokens("APIs; user-interface"), "interface"));
    }

    #[test]
    fn a_phrase_is_words_that_follow_each_other() {
        assert!(has(&tokens("We break down, then build"), "break down"));
        assert!(has(&tokens("Breaking-down the work"), "break down"));
        assert!(!has(&tokens("break it down"), "break down"));
        assert!(!has(&tokens("break"), "break down") && !has(&tokens("anything"), " "));
        assert_eq!(tokens("A_b c1,é—x"), ["a_b", "c1", "é", "x"]);
    }

    /// Every form of a keyword, written out as the specification lists them.
    fn forms(keyword: &str) -> Vec<String> {
        let mut suffixed: Vec<String> =
            ENDINGS.iter().map(|ending| format!("{keyword}{ending}")).collect();
        let letters: Vec<char> = keyword.chars().collect();
        let count = letters.len();
        let stem: String = letters[..count - 1].iter().collect();
        let last = letters[count - 1];
        if last == 'e' && count > 3 {
            suffixed.extend(WITHOUT_E.iter().map(|ending| format!("{stem}{ending}")));
        }
        let vowel = |place: usize| "aeiou".contains(letters[place]);
        let single = count >= 2 && vowel(count - 2) && (count == 2 || !vowel(count - 3));
        if single && !vowel(count - 1) && !"wxy".contains(last) {
            suffixed.extend(DOUBLED.iter().map(|ending| format!("{keyword}{last}{ending}")));
        }
        if last == 'y' && count >= 2 && !vowel(count - 2) {
            suffixed.extend(["es", "ed"].iter().map(|ending| format!("{stem}i{ending}")));
        }
        let plural: Vec<String> = suffixed.iter().map(|form| format!("{form}s")).collect();
        [vec![keyword.to_owned()], suffixed, plural].concat()
    }

    proptest! {
        #[test]
        fn exactly_the_listed_forms_match(keyword in "[a-z]{1,7}", ending in "[a-z]{0,6}") {
            let listed = forms(&keyword);
            for form in &listed {
                prop_assert!(is_form(form, &keyword), "{} of {}", form, keyword);
            }
            let other = format!("{keyword}{ending}");
            prop_assert_eq!(is_form(&other, &keyword), listed.contains(&other));
        }
    }
}
