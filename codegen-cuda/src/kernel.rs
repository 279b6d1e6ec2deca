//! One kernel for a function that is one element-wise pass.
//!
//! The kernel walks the elements of the shape with a grid-stride loop, so that any number of blocks and threads is right. Every thread computes
//! the values of its elements in registers and writes all results; scalar statements are computed by every thread before the loop.

use std::fmt::Write;

use bilevel_compiler::ir::text::{op_name, print_type};
use bilevel_compiler::ir::{Dim, Elem, Func, Literal, Op, Shape, Stmt, ValueId};

use crate::elementwise::{Helper, c_type, expression, literal};
use crate::error::EmitError;
use crate::names::Names;

/// A kernel as text, and how it is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kernel {
    /// The function's name, `extern "C"`.
    pub name: String,
    /// A complete translation unit.
    pub source: String,
    /// What to pass, in order. Result arrays must not overlap with any other array.
    pub arguments: Vec<Argument>,
}

/// One argument of a kernel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Argument {
    /// A scalar parameter of the function, by value.
    Scalar {
        /// its position
        param: usize,
        /// its element type
        elem: Elem,
    },
    /// A pointer to the elements of an array parameter of the function.
    Array {
        /// its position
        param: usize,
        /// its element type
        elem: Elem,
    },
    /// A pointer to where the elements of a result go.
    Result {
        /// its position
        result: usize,
        /// its element type
        elem: Elem,
    },
    /// The number of elements of the shape, a 64-bit integer.
    Count,
}

/// Makes one kernel of a function whose statements are literals, element-wise operations and repeated scalars over one shape.
///
/// # Errors
/// [`EmitError`] if the function is anything else.
pub fn fused_kernel(f: &Func) -> Result<Kernel, EmitError> {
    if f.is_generic() {
        return Err(EmitError::Generic);
    }
    let mut e = Emitter {
        func: f,
        names: Names::new(),
        n_unnamed: 0,
        shape: None,
        exprs: vec![None; f.types.len()],
        helpers: Vec::new(),
        before: String::new(),
        inside: String::new(),
    };
    let name = e.names.make(&f.name);
    let (mut signature, mut arguments) = e.params()?;
    for stmt in &f.body.stmts {
        e.stmt(stmt)?;
    }
    e.results(&mut signature, &mut arguments)?;
    signature.push("unsigned long long n".to_owned());
    arguments.push(Argument::Count);

    let mut source = String::new();
    for helper in &e.helpers {
        source.push_str(&helper.definition);
        source.push('\n');
    }
    let (before, inside) = (&e.before, &e.inside);
    let signature = signature.join(",\n    ");
    let _ = write!(
        source,
        "extern \"C\" __global__ void {name}(\n    {signature})\n{{\n{before}    \
         const unsigned long long stride = (unsigned long long)gridDim.x * blockDim.x;\n    \
         for (unsigned long long i = (unsigned long long)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {{\n{inside}    }}\n}}\n"
    );
    Ok(Kernel { name, source, arguments })
}

struct Emitter<'f> {
    func: &'f Func,
    names: Names,
    n_unnamed: usize,
    /// The dimensions of the first array; all others have the same.
    shape: Option<&'f [Dim]>,
    /// For each value, the expression by which later ones refer to it: a name, an element of an array, or a literal in parentheses if it needs them.
    exprs: Vec<Option<String>>,
    helpers: Vec<Helper>,
    /// Statements before the loop, which compute scalars.
    before: String,
    /// Statements in the loop.
    inside: String,
}

impl<'f> Emitter<'f> {
    /// The first part of the signature: the parameters.
    fn params(&mut self) -> Result<(Vec<String>, Vec<Argument>), EmitError> {
        let (mut signature, mut arguments) = (Vec::new(), Vec::new());
        for (k, &param) in self.func.params().iter().enumerate() {
            self.check_shape(param)?;
            let elem = self.func.ty(param).elem;
            let name = self.names.make(&self.name_of(param));
            if self.func.ty(param).rank() == 0 {
                signature.push(format!("{} {name}", c_type(elem)));
                arguments.push(Argument::Scalar { param: k, elem });
                self.set(param, name);
            } else {
                signature.push(format!("const {} *__restrict__ {name}", c_type(elem)));
                arguments.push(Argument::Array { param: k, elem });
                self.set(param, format!("{name}[i]"));
            }
        }
        Ok((signature, arguments))
    }

    fn results(&mut self, signature: &mut Vec<String>, arguments: &mut Vec<Argument>) -> Result<(), EmitError> {
        if self.func.results().is_empty() {
            return Err(EmitError::NoResults);
        }
        for (k, &result) in self.func.results().iter().enumerate() {
            let ty = self.func.ty(result);
            if ty.rank() == 0 && self.shape.is_some() {
                return Err(EmitError::ScalarResult { value: self.name_of(result) });
            }
            let wanted = self.func.note(result).name.as_deref().map_or_else(|| format!("out{k}"), |name| format!("{name}_out"));
            let name = self.names.make(&wanted);
            signature.push(format!("{} *__restrict__ {name}", c_type(ty.elem)));
            arguments.push(Argument::Result { result: k, elem: ty.elem });
            let _ = writeln!(self.inside, "        {name}[i] = {};", self.get(result));
        }
        Ok(())
    }

    fn stmt(&mut self, stmt: &'f Stmt) -> Result<(), EmitError> {
        for &out in &stmt.outs {
            self.check_shape(out)?;
        }
        let unsupported = |e: &Self| {
            let value = stmt.outs.first().map_or_else(String::new, |&o| e.name_of(o));
            Err(EmitError::Operation { operation: op_name(&stmt.op), value })
        };
        match &stmt.op {
            Op::Const(elem, value) => {
                let text = literal(*elem, *value);
                let out = stmt.outs[0];
                // A literal that the user named keeps its name.
                match self.func.note(out).name {
                    Some(_) => self.define(out, &text),
                    None => self.set(out, if is_negative(*value) { format!("({text})") } else { text }),
                }
                Ok(())
            }
            Op::Elementwise(op) => {
                let args: Vec<String> = stmt.args.iter().map(|&a| self.get(a)).collect();
                let from = self.func.ty(stmt.args[0]).elem;
                let text = expression(*op, from, &args, &mut self.helpers);
                self.define(stmt.outs[0], &text);
                Ok(())
            }
            Op::Shape(Shape::Broadcast { axes, .. }) if axes.is_empty() => {
                let scalar = self.get(stmt.args[0]);
                self.set(stmt.outs[0], scalar);
                Ok(())
            }
            Op::Shape(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Index(_) | Op::Call(_) | Op::Linalg(_) | Op::Control(_) => unsupported(self),
        }
    }

    /// Appends a variable: before the loop if it is a scalar, in the loop if it stands for the elements of an array.
    fn define(&mut self, value: ValueId, text: &str) {
        let ty = self.func.ty(value);
        let name = match self.func.note(value).name.as_deref() {
            Some(name) => self.names.make(name),
            None => {
                self.n_unnamed += 1;
                self.names.make(&format!("t{}", self.n_unnamed))
            }
        };
        let scalar = ty.rank() == 0;
        // It ends in a backquote: a line that ended in a backslash of the user's would swallow the next one.
        let comment = self.func.note(value).explain().map_or_else(String::new, |what| format!("  // {what}"));
        let (into, indent) = if scalar { (&mut self.before, "    ") } else { (&mut self.inside, "        ") };
        let _ = writeln!(into, "{indent}const {} {name} = {text};{comment}", c_type(ty.elem));
        self.set(value, name);
    }

    fn check_shape(&mut self, value: ValueId) -> Result<(), EmitError> {
        let ty = self.func.ty(value);
        if ty.rank() == 0 || *self.shape.get_or_insert(&ty.dims) == ty.dims {
            return Ok(());
        }
        let expected = self.shape.map_or_else(String::new, |dims| print_type(self.func, &ty.with_dims(dims)));
        Err(EmitError::Shape { value: self.name_of(value), found: print_type(self.func, ty), expected })
    }

    fn name_of(&self, value: ValueId) -> String {
        self.func.note(value).name.as_deref().map_or_else(|| format!("v{}", value.0), str::to_owned)
    }

    fn set(&mut self, value: ValueId, expr: String) {
        self.exprs[value.0 as usize] = Some(expr);
    }

    fn get(&self, value: ValueId) -> String {
        self.exprs[value.0 as usize].clone().expect("defined before use")
    }
}

fn is_negative(literal: Literal) -> bool {
    match literal {
        Literal::Float(x) | Literal::Widths(x, _) => x.is_sign_negative() && x.is_finite(),
        Literal::Int(i) => i < 0,
        Literal::Bool(_) => false,
    }
}
