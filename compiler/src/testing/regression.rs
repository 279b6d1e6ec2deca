//! Programs with their arguments as text, for files of programs on which a test once failed.
//!
//! The text of the function, a line `---`, and a line for each argument: element type, lengths, and elements, as in `f64 2,1: 0.5 -1.5`.

use super::Program;
use crate::ir::Elem;
use crate::ir::eval::{Data, Tensor};
use crate::ir::text::parse;

/// The text of a program.
pub fn write(p: &Program) -> String {
    let mut text = format!("{}---\n", p.func);
    for arg in &p.args {
        let lens: Vec<String> = arg.shape.iter().map(usize::to_string).collect();
        let elements: Vec<String> = match &arg.data {
            Data::F64(x) => x.iter().map(f64::to_string).collect(),
            Data::F32(x) => x.iter().map(f32::to_string).collect(),
            Data::Int(_, x) => x.iter().map(i64::to_string).collect(),
            Data::Bool(x) => x.iter().map(bool::to_string).collect(),
        };
        text.push_str(format!("{} {}: {}", arg.elem(), lens.join(","), elements.join(" ")).trim_end());
        text.push('\n');
    }
    text
}

/// The program of a text.
///
/// # Panics
/// If the text is not of that form.
pub fn read(text: &str) -> Program {
    let (func, args) = text.split_once("---\n").expect("a line `---` after the function");
    let func = parse(func).unwrap_or_else(|e| panic!("{e}"));
    Program::new(func, args.lines().map(argument).collect())
}

fn argument(line: &str) -> Tensor {
    let (head, elements) = line.split_once(':').expect("a colon before the elements");
    let (elem, lens) = head.split_once(' ').expect("element type and lengths");
    let shape: Vec<usize> = lens.split(',').filter(|n| !n.is_empty()).map(|n| n.parse().expect("a length")).collect();
    let elements = elements.split_whitespace();
    let integers = |elem| Data::Int(elem, elements.clone().map(|x| x.parse().expect("an integer")).collect());
    let data = match elem {
        "f64" => Data::F64(elements.map(|x| x.parse().expect("a number")).collect()),
        "f32" => Data::F32(elements.map(|x| x.parse().expect("a number")).collect()),
        "usize" => integers(Elem::Usize),
        "i64" => integers(Elem::I64),
        "bool" => Data::Bool(elements.map(|x| x.parse().expect("a truth value")).collect()),
        other => panic!("`{other}` is not an element type"),
    };
    Tensor::new(&shape, data)
}
