//! Letters that are not seen for what they are.

/// Whether a letter moves a cursor, turns the direction of reading, or takes no place: text with one of
/// them can look like another text, and can do something to a terminal.
#[must_use]
pub const fn is_unseen(letter: char) -> bool {
    matches!(letter,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_of_people_are_seen_and_tricks_are_not() {
        for letter in "aZ 9äß中文かなעב\u{301}🙂…".chars() {
            assert!(!is_unseen(letter), "{letter:?}");
        }
        for letter in "\n\u{1b}\u{9b}\u{200b}\u{200d}\u{202e}\u{2066}\u{feff}\u{2028}".chars() {
            assert!(is_unseen(letter), "{letter:?}");
        }
    }
}
