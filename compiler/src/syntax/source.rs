//! The user's tokens as compact text, for messages and for the comments in generated code.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;

/// Longest text that is kept whole.
const MAX_LEN: usize = 100;

/// The tokens on one line, spaced as a person would, cut with `…` where they are long.
pub fn source_text(tokens: impl ToTokens) -> String {
    let mut printer = Printer { out: String::new(), last: Last::Open };
    printer.stream(tokens.into_token_stream());
    if printer.out.chars().count() <= MAX_LEN {
        return printer.out;
    }
    let mut cut: String = printer.out.chars().take(MAX_LEN - 1).collect();
    cut.push('…');
    cut
}

/// What stands before the next token.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// The start, an opening delimiter, a prefix operator, `.` or `::`: no space follows.
    Open,
    /// A name, literal or closing delimiter: a value may end here.
    Value,
    /// A keyword, a binary operator or a comma: a space follows and a value begins.
    Operator,
}

struct Printer {
    out: String,
    last: Last,
}

impl Printer {
    fn stream(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        // Angle brackets that enclose generic arguments, not comparisons.
        let mut n_angles = 0usize;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Punct(_) => {
                    let mut op = String::new();
                    while let Some(TokenTree::Punct(p)) = tokens.get(at) {
                        op.push(p.as_char());
                        at += 1;
                        let joint = p.spacing() == proc_macro2::Spacing::Joint;
                        if !joint || p.as_char() == '\'' || !continues(&op, tokens.get(at)) {
                            break;
                        }
                    }
                    self.punct(&op, &mut n_angles);
                    continue;
                }
                TokenTree::Group(group) => self.group(group),
                TokenTree::Ident(ident) => self.word(&ident.to_string()),
                TokenTree::Literal(literal) => self.word(&literal.to_string()),
            }
            at += 1;
        }
    }

    fn word(&mut self, word: &str) {
        if self.last != Last::Open && !self.out.is_empty() {
            self.out.push(' ');
        }
        self.out.push_str(word);
        let keyword = ["let", "mut", "in", "if", "else", "for", "return", "as", "move", "ref", "match", "while"].contains(&word);
        self.last = if keyword { Last::Operator } else { Last::Value };
    }

    fn group(&mut self, group: &proc_macro2::Group) {
        let (open, close) = match group.delimiter() {
            Delimiter::Parenthesis => ("(", ")"),
            Delimiter::Bracket => ("[", "]"),
            Delimiter::Brace => (" { ", " }"),
            Delimiter::None => ("", ""),
        };
        if self.last == Last::Operator && group.delimiter() != Delimiter::Brace {
            self.out.push(' ');
        }
        self.out.push_str(if self.out.is_empty() || self.out.ends_with(' ') { open.trim_start() } else { open });
        self.last = Last::Open;
        self.stream(group.stream());
        self.out.push_str(close);
        self.last = Last::Value;
    }

    fn punct(&mut self, op: &str, n_angles: &mut usize) {
        let after_value = self.last == Last::Value;
        match op {
            "." | "::" | ".." | "..=" => {
                if self.last == Last::Operator {
                    self.out.push(' ');
                }
                self.out.push_str(op);
                self.last = Last::Open;
            }
            "?" => self.out.push('?'),
            "," | ";" | ":" => {
                self.out.push_str(op);
                self.last = Last::Operator;
            }
            "'" | "#" => {
                if self.last == Last::Operator {
                    self.out.push(' ');
                }
                self.out.push_str(op);
                self.last = Last::Open;
            }
            "!" if after_value => {
                self.out.push('!');
                self.last = Last::Open;
            }
            // A type's argument list: `::<`, or after a name that begins like a type's.
            "<" if self.out.ends_with("::") || self.ends_with_type() => {
                self.out.push('<');
                *n_angles += 1;
                self.last = Last::Open;
            }
            ">" if *n_angles > 0 => {
                self.out.push('>');
                *n_angles -= 1;
                self.last = Last::Value;
            }
            "|" => {
                // A closure's bars: the first opens after an operator, the second closes before its body.
                if after_value && !self.in_closure_head() {
                    self.out.push_str(" |");
                    self.last = Last::Operator;
                } else if self.in_closure_head() {
                    self.out.push('|');
                    self.last = Last::Operator;
                } else {
                    if self.last == Last::Operator {
                        self.out.push(' ');
                    }
                    self.out.push('|');
                    self.last = Last::Open;
                }
            }
            "-" | "*" | "&" | "!" | "&&" | "&mut" if !after_value => {
                if self.last == Last::Operator {
                    self.out.push(' ');
                }
                self.out.push_str(op);
                self.last = Last::Open;
            }
            _ => {
                if !self.out.is_empty() && self.last != Last::Open {
                    self.out.push(' ');
                }
                self.out.push_str(op);
                self.last = Last::Operator;
            }
        }
    }

    /// Whether an odd number of bars stands since the last opening parenthesis.
    fn in_closure_head(&self) -> bool {
        let tail = self.out.rfind('(').map_or(self.out.as_str(), |at| &self.out[at..]);
        tail.matches('|').count() % 2 == 1
    }

    fn ends_with_type(&self) -> bool {
        let word = self.out.rsplit(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
        word.starts_with(|c: char| c.is_ascii_uppercase()) && word.chars().any(|c| c.is_ascii_lowercase())
    }
}

/// Whether the next token continues an operator of several characters.
fn continues(op: &str, next: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Punct(p)) = next else { return false };
    let longer = format!("{op}{}", p.as_char());
    ["::", "..", "..=", "&&", "||", "==", "!=", "<=", ">=", "+=", "-=", "*=", "/=", "%=", "->", "=>", "<<", ">>"].contains(&longer.as_str())
}

#[cfg(test)]
mod tests {
    use super::source_text;

    #[track_caller]
    fn reads(text: &str) {
        let tokens: proc_macro2::TokenStream = text.parse().unwrap();
        assert_eq!(source_text(tokens), text);
    }

    #[test]
    fn expressions_read_as_written() {
        reads("0.5 * (log_l2.exp() * w * w).sum()");
        reads("cross_entropy(&x.dot(w), y) + penalty");
        reads("-x + *y");
        reads("a - b[i] * -c[[i, j]]");
        reads("x.mapv(|v| v.max(0.0))");
        reads("x.mapv(|v: f64| -v)");
        reads("Array1::<f64>::zeros(x.len())");
        reads("&Array2<f64>");
        reads("ArrayView2<'_, f64>");
        reads("if a < b { a } else { b }");
        reads("n as f64 / 2.0");
        reads("0..x.nrows()");
        reads("!a && b || c");
        reads("let (a, b) = c");
        reads("f64::exp");
    }

    #[test]
    fn long_text_is_cut() {
        let long = "a + ".repeat(60) + "a";
        let tokens: proc_macro2::TokenStream = long.parse().unwrap();
        let text = source_text(tokens);
        assert!(text.ends_with('…') && text.chars().count() == super::MAX_LEN);
    }
}
