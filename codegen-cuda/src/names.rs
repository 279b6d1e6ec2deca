//! Legal and unique C identifiers from the names that values have in the user's code.

use std::collections::HashSet;

/// Words that a local variable must not be called: the language's, macros of common headers, CUDA's, the functions that emitted code calls, and the
/// variables of the loop that every kernel has.
const RESERVED: &str = "
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class compl concept
    const consteval constexpr constinit const_cast continue co_await co_return co_yield decltype default delete do double
    dynamic_cast else enum explicit export extern false float for friend goto if inline int long main mutable namespace new
    noexcept not not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return short signed
    sizeof static static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union
    unsigned using virtual void volatile wchar_t while xor xor_eq NULL EOF INFINITY NAN HUGE_VAL assert errno stdin stdout stderr
    unix linux blockDim blockIdx dim3 gridDim threadIdx warpSize exp expm1 log log1p sqrt sin cos tan asin acos atan sinh cosh
    tanh fabs floor pow atan2 fmax fmin expf expm1f logf log1pf sqrtf sinf cosf tanf asinf acosf atanf sinhf coshf tanhf fabsf
    floorf powf atan2f fmaxf fminf i n stride
";

/// The identifiers of one kernel that are taken.
pub(crate) struct Names {
    taken: HashSet<String>,
}

impl Names {
    pub(crate) fn new() -> Self {
        Names { taken: RESERVED.split_whitespace().map(str::to_owned).collect() }
    }

    /// A new identifier that resembles `wanted`.
    pub(crate) fn make(&mut self, wanted: &str) -> String {
        let base = legal(wanted);
        let mut name = base.clone();
        let mut k = 1;
        while !self.taken.insert(name.clone()) {
            k += 1;
            name = format!("{base}_{k}");
        }
        name
    }
}

/// Letters, digits and single underscores, beginning with a letter: identifiers with two underscores in a row, or with one at the beginning, belong to
/// the implementation. The prefix of helper functions stays theirs.
fn legal(name: &str) -> String {
    let mut out = String::new();
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() { c } else { '_' };
        if c != '_' || !(out.is_empty() || out.ends_with('_')) {
            out.push(c);
        }
    }
    let out = out.trim_end_matches('_');
    if out.starts_with("bilevel_") || !out.starts_with(|c: char| c.is_ascii_alphabetic()) { format!("v{out}") } else { out.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Names, legal};

    #[test]
    fn names_are_legal() {
        for (name, expected) in [
            ("w_bar", "w_bar"),
            ("_w", "w"),
            ("__w__x_", "w_x"),
            ("größe", "gr_e"),
            ("λ", "v"),
            ("2", "v2"),
            ("model.w[0]", "model_w_0"),
            ("bilevel_relu_f64", "vbilevel_relu_f64"),
            ("", "v"),
        ] {
            assert_eq!(legal(name), expected, "{name}");
        }
    }

    #[test]
    fn names_are_unique_and_not_reserved() {
        let mut names = Names::new();
        let made: Vec<String> = ["x", "x", "exp", "i", "double", "x_2", "n"].iter().map(|n| names.make(n)).collect();
        assert_eq!(made, ["x", "x_2", "exp_2", "i_2", "double_2", "x_2_2", "n_2"]);
    }
}
