//! Broadcasting of every pair of ranks, numbers and arrays without axes among them: systematically, and not at random.

use crate::source::Function;

/// Operands, with their types: a number, and arrays of each rank whose last axes fit each other.
const OPERANDS: [(&str, &str); 6] =
    [("s", "f64"), ("a0", "&Array0<f64>"), ("a1", "&Array1<f64>"), ("a2", "&Array2<f64>"), ("a3", "&Array3<f64>"), ("a4", "&Array4<f64>")];

/// A function for each first operand, with all operators and all second operands.
pub(crate) fn functions() -> Vec<Function> {
    let function = |first: usize| {
        let (a, _) = OPERANDS[first];
        let params: Vec<String> = OPERANDS.iter().map(|(name, ty)| format!("{name}: {ty}")).collect();
        let mut terms = Vec::new();
        for (b, _) in OPERANDS {
            terms.push(format!("({a} + {b}) * ({a} - {b}) + {a} * {b} / ({b} * {b} + 1.0)"));
        }
        let rank = |k: usize| k.saturating_sub(1);
        let results = (0..OPERANDS.len()).map(|k| match (first.max(k), rank(first.max(k))) {
            (0, _) => "f64".to_owned(),
            (_, rank) => format!("Array{rank}<f64>"),
        });
        let results: Vec<String> = results.collect();
        let name = format!("broadcast_{a}");
        let text =
            format!("#[differentiable]\nfn {name}({}) -> ({}) {{\n({})\n}}\n", params.join(", "), results.join(", "), terms.join(", "));
        Function { name, text, seed: first as u64 }
    };
    (0..OPERANDS.len()).map(function).collect()
}
