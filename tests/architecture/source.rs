//! Reading Rust as tokens and paths: enough to know what a file names, and nothing more.

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// An identifier, one character of punctuation, or empty for a literal.
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Splits source text; comments vanish, literals become empty tokens.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut found, mut at, mut line) = (Vec::new(), 0, 1);
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    while at < chars.len() {
        let start = at;
        let rest = &chars[at..];
        let text = match rest {
            ['/', '/', ..] => {
                at += rest.iter().position(|c| *c == '\n').unwrap_or(rest.len());
                None
            }
            ['/', '*', ..] => {
                at += block_comment(rest);
                None
            }
            ['"', ..] => {
                at += quoted(rest);
                Some(String::new())
            }
            ['\'', '\\', ..] | ['\'', _, '\'', ..] => {
                at += 2 + usize::from(rest[1] == '\\');
                at += chars[at..].iter().position(|c| *c == '\'').map_or(0, |end| end + 1);
                Some(String::new())
            }
            ['r', '#' | '"', ..] | ['b' | 'c', 'r', '#' | '"', ..] if raw(rest).is_some() => {
                at += raw(rest).unwrap_or(1);
                Some(String::new())
            }
            [c, ..] if is_word(*c) => {
                at += rest.iter().position(|c| !is_word(*c)).unwrap_or(rest.len());
                Some(rest[..at - start].iter().collect())
            }
            [c, ..] => {
                at += 1;
                (!c.is_whitespace()).then(|| c.to_string())
            }
            [] => None,
        };
        if let Some(text) = text {
            found.push(Token { text, line });
        }
        line += chars[start..at.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn block_comment(rest: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match rest[at..] {
            ['/', '*', ..] => (depth, at) = (depth + 1, at + 2),
            ['*', '/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += 1 + usize::from(rest[at] == '\\');
    }
    (at + 1).min(rest.len())
}

/// Length of a raw string that begins here.
fn raw(rest: &[char]) -> Option<usize> {
    let open = rest.iter().position(|c| *c == '"')?;
    let prefix: String = rest[..open].iter().collect();
    let hashes = prefix.trim_start_matches(['b', 'c']).strip_prefix('r')?;
    if !hashes.chars().all(|c| c == '#') {
        return None;
    }
    let end: Vec<char> = format!("\"{hashes}").chars().collect();
    let length = rest[open + 1..].windows(end.len()).position(|window| window == end)?;
    Some(open + 1 + length + end.len())
}

/// One path that a file names, absolute where it could be resolved.
#[derive(Debug, PartialEq)]
pub(crate) struct Named {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) in_test: bool,
}

/// Reads the paths of one file.
pub(crate) struct Reader<'a> {
    pub(crate) tokens: &'a [Token],
    /// Modules from the crate's root to the file.
    pub(crate) module: Vec<String>,
    pub(crate) dependencies: &'a [String],
    pub(crate) found: Vec<Named>,
}

impl Reader<'_> {
    fn text(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    fn is(&self, at: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(offset, text)| self.text(at + offset) == *text)
    }

    pub(crate) fn read(mut self, is_test_file: bool) -> Vec<Named> {
        // One entry per open brace: whether it opened a module, and whether it is test code.
        let mut scopes: Vec<(bool, bool)> = Vec::new();
        let (mut pending_test, mut at) = (false, 0);
        while at < self.tokens.len() {
            let in_test = is_test_file || pending_test || scopes.iter().any(|scope| scope.1);
            match self.text(at) {
                "#" if self.is(at + 1, &["[", "cfg", "(", "test", ")", "]"]) => {
                    pending_test = true;
                    at += 7;
                    continue;
                }
                ";" => pending_test = false,
                "{" => {
                    let opens = self.is(at.wrapping_sub(2), &["mod"]);
                    if opens {
                        self.module.push(self.text(at - 1).to_owned());
                    }
                    scopes.push((opens, std::mem::take(&mut pending_test)));
                }
                "}" => {
                    let closes = scopes.pop().is_some_and(|scope| scope.0);
                    self.module.truncate(self.module.len() - usize::from(closes));
                }
                // `impl Trait + use<'a>` is no import.
                "use" if self.text(at + 1) != "<" => {
                    at = self.tree(at + 1, &[], in_test);
                    continue;
                }
                "extern" if self.text(at + 1) == "crate" => {
                    self.name(&[self.text(at + 2).to_owned()], at, in_test);
                    at += 3;
                    continue;
                }
                _ if self.begins_path(at) => {
                    let mut segments = vec![self.text(at).to_owned()];
                    let start = at;
                    while self.is(at + 1, &[":", ":"]) && is_name(self.text(at + 3)) {
                        segments.push(self.text(at + 3).to_owned());
                        at += 3;
                    }
                    self.name(&segments, start, in_test);
                }
                _ => {}
            }
            at += 1;
        }
        self.found
    }

    /// A name with `::` behind it that is not itself behind `a::` or `>::`.
    fn begins_path(&self, at: usize) -> bool {
        let follows = at >= 3
            && self.is(at - 2, &[":", ":"])
            && (is_name(self.text(at - 3)) || self.text(at - 3) == ">");
        is_name(self.text(at)) && self.is(at + 1, &[":", ":"]) && !follows
    }

    /// Reads one branch of a `use`; returns the position behind it.
    fn tree(&mut self, mut at: usize, prefix: &[String], in_test: bool) -> usize {
        let mut path = prefix.to_vec();
        let start = at;
        loop {
            match self.text(at) {
                "{" => {
                    at += 1;
                    while at < self.tokens.len() && self.text(at) != "}" {
                        at = self.tree(at, &path, in_test);
                        at += usize::from(self.text(at) == ",");
                    }
                    return at + 1;
                }
                ":" | "*" => {}
                "as" => at += 1,
                text if is_name(text) => path.push(text.to_owned()),
                _ => break,
            }
            at += 1;
        }
        self.name(&path, start, in_test);
        at
    }

    fn name(&mut self, segments: &[String], at: usize, in_test: bool) {
        let Some(first) = segments.first() else { return };
        let mut rest = segments;
        let absolute = match first.as_str() {
            "crate" => ["crate"].map(str::to_owned).into_iter().chain(rest[1..].to_vec()).collect(),
            "self" | "super" => {
                let mut module = self.module.clone();
                while let Some(word) =
                    rest.first().filter(|word| *word == "self" || *word == "super")
                {
                    if word == "super" {
                        module.pop();
                    }
                    rest = &rest[1..];
                }
                let crate_root = std::iter::once("crate".to_owned());
                crate_root.chain(module).chain(rest.to_vec()).collect::<Vec<_>>()
            }
            "std" | "core" | "alloc" => segments.to_vec(),
            name if self.dependencies.iter().any(|dependency| dependency == name) => {
                segments.to_vec()
            }
            _ => return,
        };
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        self.found.push(Named { path: absolute.join("::"), line, in_test });
    }
}

fn is_name(text: &str) -> bool {
    text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_')
}
