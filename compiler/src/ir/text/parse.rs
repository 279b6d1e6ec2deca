//! Reads the textual form. Types are taken as they stand and nothing is checked beyond the grammar: that is the verifier's work.

use std::collections::HashMap;
use std::fmt;

use crate::ir::{
    Body, Control, Dim, DimId, DimInfo, Elem, Elementwise, Func, Index, Linalg, Literal, Note, Op, Pick, Reduce, Shape, Stmt, Triangle,
    Type, TypeParam, ValueId, Window,
};

/// Where and why a text is not a function.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, counted from one.
    pub line: usize,
    /// What was expected.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

/// Reads one function in the [textual form](super).
///
/// # Errors
/// [`ParseError`] where the text does not follow the grammar, defines a value twice, or uses one that it does not define anywhere.
pub fn parse(text: &str) -> Result<Func, ParseError> {
    let mut p = Parser { text, at: 0, dims: Vec::new(), types: Vec::new(), notes: Vec::new(), values: HashMap::new() };
    p.expect("func")?;
    let name = p.take_while(|c| c != '(' && !c.is_whitespace()).to_owned();
    let body = p.body()?;
    p.skip_blank();
    if p.at < text.len() {
        return p.fail("the end of the text");
    }
    let mut types = Vec::with_capacity(p.types.len());
    for (k, ty) in p.types.iter().enumerate() {
        match ty {
            Some(ty) => types.push(ty.clone()),
            None => {
                let name = p.values.iter().find(|(_, v)| v.0 as usize == k).map_or("", |(name, _)| name);
                return p.error(format!("`%{name}` is not defined"));
            }
        }
    }
    Ok(Func { name, dims: p.dims, types, notes: p.notes, body })
}

struct Parser<'t> {
    text: &'t str,
    /// Byte position of what is still to be read.
    at: usize,
    dims: Vec<DimInfo>,
    /// `None` for values that have been used but not defined so far.
    types: Vec<Option<Type>>,
    notes: Vec<Note>,
    values: HashMap<&'t str, ValueId>,
}

type Parsed<T> = Result<T, ParseError>;

impl<'t> Parser<'t> {
    fn error<T>(&self, message: impl Into<String>) -> Parsed<T> {
        Err(ParseError { line: self.text[..self.at].matches('\n').count() + 1, message: message.into() })
    }

    fn fail<T>(&self, expected: &str) -> Parsed<T> {
        let found: String = self.text[self.at..].chars().take_while(|&c| c != '\n').take(20).collect();
        self.error(format!("expected {expected}, found `{found}`"))
    }

    /// Skips white space and comments.
    fn skip_blank(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            let trimmed = rest.trim_start();
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn peek(&mut self, what: &str) -> bool {
        self.skip_blank();
        self.text[self.at..].starts_with(what)
    }

    fn eat(&mut self, what: &str) -> bool {
        let found = self.peek(what);
        if found {
            self.at += what.len();
        }
        found
    }

    fn expect(&mut self, what: &str) -> Parsed<()> {
        if self.eat(what) { Ok(()) } else { self.fail(&format!("`{what}`")) }
    }

    fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'t str {
        self.skip_blank();
        let rest = &self.text[self.at..];
        let taken = &rest[..rest.find(|c| !accept(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn word(&mut self) -> Parsed<&'t str> {
        let word = self.take_while(|c| c.is_alphanumeric() || c == '_');
        if word.is_empty() { self.fail("a name") } else { Ok(word) }
    }

    /// Reads items up to `close`, separated by commas.
    fn list<T>(&mut self, close: &str, mut item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = Vec::new();
        while !self.eat(close) {
            if !items.is_empty() {
                self.expect(",")?;
            }
            items.push(item(self)?);
        }
        Ok(items)
    }

    fn number<T: std::str::FromStr>(&mut self) -> Parsed<T> {
        let word = self.take_while(|c| c.is_ascii_digit() || c == '-');
        word.parse().or_else(|_| self.error(format!("expected a number, found `{word}`")))
    }

    /// A text between quotes, as Rust writes it.
    fn quoted(&mut self) -> Parsed<String> {
        self.skip_blank();
        let rest = &self.text[self.at..];
        let mut escaped = false;
        let end = rest.char_indices().skip(1).find(|&(_, c)| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        let literal = end.and_then(|(end, _)| syn::parse_str::<syn::LitStr>(&rest[..=end]).ok().map(|literal| (end, literal.value())));
        match literal {
            Some((end, text)) => {
                self.at += end + 1;
                Ok(text)
            }
            None => self.fail("a text between quotes"),
        }
    }

    fn numbers(&mut self) -> Parsed<Vec<usize>> {
        self.expect("[")?;
        self.list("]", Self::number)
    }

    /// Attributes that are words of a list, if there are any: which of them are there.
    fn words<const N: usize>(&mut self, known: [&str; N]) -> Parsed<[bool; N]> {
        let given = if self.eat("[") { self.list("]", Self::word)? } else { Vec::new() };
        match given.iter().find(|word| !known.contains(word)) {
            Some(word) => self.error(format!("`{word}` is none of {known:?}")),
            None => Ok(known.map(|word| given.contains(&word))),
        }
    }

    fn axis(&mut self) -> Parsed<usize> {
        self.expect("[")?;
        let axis = self.number()?;
        self.expect("]")?;
        Ok(axis)
    }

    /// An axis of a result.
    fn axis_of(&self, ty: Type, axis: usize, op: &str) -> Parsed<Dim> {
        ty.dims.get(axis).copied().map_or_else(|| self.error(format!("the result of `{op}` has no axis {axis}")), Ok)
    }

    /// The axis, step and dilation of sliding windows.
    fn windows(&mut self) -> Parsed<(usize, u64, u64)> {
        self.expect("[")?;
        let axis = self.number()?;
        self.expect(",")?;
        let step = self.number()?;
        self.expect(",")?;
        let dilation = self.number()?;
        self.expect("]")?;
        Ok((axis, step, dilation))
    }

    fn window(&mut self) -> Parsed<Window> {
        self.expect("[")?;
        let axes = self.list("]", |p| {
            let axis = p.number()?;
            if !p.eat(":") {
                return Ok((axis, Pick::At));
            }
            let len = p.dim()?;
            p.expect("by")?;
            Ok((axis, Pick::Slice { step: p.number()?, len }))
        })?;
        Ok(Window { axes })
    }

    fn dim(&mut self) -> Parsed<Dim> {
        let word = self.word()?;
        if let Ok(n) = word.parse() {
            return Ok(Dim::Const(n));
        }
        let k = self.dims.iter().position(|d| d.name == word).unwrap_or_else(|| {
            self.dims.push(DimInfo { name: word.to_owned() });
            self.dims.len() - 1
        });
        Ok(Dim::Sym(DimId(k as u32)))
    }

    fn ty(&mut self) -> Parsed<Type> {
        let name = self.word()?;
        let known = [Elem::F64, Elem::F32, Elem::Usize, Elem::I64, Elem::Bool].into_iter().find(|e| e.name() == name);
        // What begins with a capital is a type parameter.
        let param = || name.starts_with(char::is_uppercase).then(|| Elem::Generic(TypeParam::named(name)));
        let Some(elem) = known.or_else(param) else {
            return self.error(format!("`{name}` is not an element type"));
        };
        let dims = if self.eat("[") { self.list("]", Self::dim)? } else { Vec::new() };
        Ok(Type { elem, dims })
    }

    /// A use of a value, which may be defined further down.
    fn value(&mut self) -> Parsed<ValueId> {
        self.expect("%")?;
        let name = self.word()?;
        if let Some(&value) = self.values.get(name) {
            return Ok(value);
        }
        let value = ValueId(self.types.len() as u32);
        self.values.insert(name, value);
        self.types.push(None);
        self.notes.push(if name.starts_with(|c: char| c.is_ascii_digit()) { Note::default() } else { Note::named(name) });
        Ok(value)
    }

    /// A definition of a value.
    fn typed(&mut self) -> Parsed<ValueId> {
        let value = self.value()?;
        self.expect(":")?;
        let ty = self.ty()?;
        if self.types[value.0 as usize].replace(ty).is_some() {
            return self.error("a value is defined twice");
        }
        Ok(value)
    }

    fn body(&mut self) -> Parsed<Body> {
        self.expect("(")?;
        let params = self.list(")", Self::typed)?;
        self.expect("->")?;
        self.expect("(")?;
        let results = self.list(")", Self::value)?;
        self.expect("{")?;
        let mut stmts = Vec::new();
        while !self.eat("}") {
            stmts.push(self.stmt()?);
        }
        Ok(Body { params, stmts, results })
    }

    fn stmt(&mut self) -> Parsed<Stmt> {
        let outs = if self.peek("%") { self.list("=", Self::typed)? } else { Vec::new() };
        let ty = outs.first().and_then(|&o| self.types[o.0 as usize].clone());
        if let Some(op) = self.literal(ty.as_ref())? {
            return Ok(Stmt { outs, op, args: Vec::new(), bodies: Vec::new() });
        }
        let op = self.op(ty.as_ref())?;
        self.expect("(")?;
        let args = self.list(")", Self::value)?;
        let mut bodies = Vec::new();
        while self.peek("(") {
            bodies.push(self.body()?);
        }
        Ok(Stmt { outs, op, args, bodies })
    }

    /// A literal of the type on its left, if there is one here.
    fn literal(&mut self, ty: Option<&Type>) -> Parsed<Option<Op>> {
        let start = self.at;
        let word = self.take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+'));
        let Some(ty) = ty else {
            self.at = start;
            return Ok(None);
        };
        let literal = match ty.elem {
            Elem::F64 | Elem::F32 | Elem::Generic(_) => match word.strip_prefix("nan") {
                Some("") => Some(Literal::Float(f64::NAN)),
                Some(bits) => {
                    bits.strip_prefix('_').and_then(|b| u64::from_str_radix(b, 16).ok()).map(|b| Literal::Float(f64::from_bits(b)))
                }
                None => match word.split_once("_or_") {
                    Some((wide, narrow)) => wide.parse().ok().zip(narrow.parse().ok()).map(|(wide, narrow)| Literal::Widths(wide, narrow)),
                    None => word.parse().ok().map(Literal::Float),
                },
            },
            Elem::Usize | Elem::I64 => word.parse().ok().map(Literal::Int),
            Elem::Bool => word.parse().ok().map(Literal::Bool),
        };
        if literal.is_none() {
            self.at = start;
        }
        Ok(literal.map(|literal| Op::Const(ty.elem, literal)))
    }

    /// An operation with its attributes; `ty` is the type of the first result.
    fn op(&mut self, ty: Option<&Type>) -> Parsed<Op> {
        let name = self.word()?;
        if let Some(&op) = Elementwise::PLAIN.iter().find(|op| op.name() == name) {
            return Ok(op.into());
        }
        let typed = |p: &Self| ty.cloned().map_or_else(|| p.error(format!("`{name}` has a result")), Ok);
        Ok(match name {
            "powi" => {
                self.expect("[")?;
                let n = self.number()?;
                self.expect("]")?;
                Elementwise::Powi(n).into()
            }
            "cast" => Elementwise::Cast(typed(self)?.elem).into(),
            "reduce_sum" => Reduce::Sum { axes: self.numbers()? }.into(),
            "reduce_max" => Reduce::Max { axes: self.numbers()? }.into(),
            "reduce_min" => Reduce::Min { axes: self.numbers()? }.into(),
            "reduce_prod" => Reduce::Prod { axes: self.numbers()? }.into(),
            "arg_max" => Reduce::ArgMax { axis: self.axis()? }.into(),
            "arg_min" => Reduce::ArgMin { axis: self.axis()? }.into(),
            "log_sum_exp" => Reduce::LogSumExp { axes: self.numbers()? }.into(),
            "einsum" => {
                self.expect("[")?;
                let spec = self.take_while(|c| c != ']');
                self.expect("]")?;
                match spec.parse() {
                    Ok(einsum) => Op::Einsum(einsum),
                    Err(crate::ir::builder::TypeError(why)) => return self.error(why),
                }
            }
            "broadcast" => Shape::Broadcast { axes: self.numbers()?, dims: typed(self)?.dims }.into(),
            "permute" => Shape::Permute { perm: self.numbers()? }.into(),
            "reshape" => Shape::Reshape { dims: typed(self)?.dims }.into(),
            "concat" => {
                let axis = self.axis()?;
                Shape::Concat { axis, dim: self.axis_of(typed(self)?, axis, name)? }.into()
            }
            "unfold" => {
                let (axis, step, dilation) = self.windows()?;
                let ty = typed(self)?;
                let (out, len) = (self.axis_of(ty.clone(), axis, name)?, self.axis_of(ty, axis + 1, name)?);
                Shape::Unfold { axis, out, len, step, dilation }.into()
            }
            "fold" => {
                let (axis, step, dilation) = self.windows()?;
                Shape::Fold { axis, dim: self.axis_of(typed(self)?, axis, name)?, step, dilation }.into()
            }
            "iota" => match typed(self)?.dims[..] {
                [dim] => Shape::Iota { dim }.into(),
                _ => return self.error("the result of `iota` has one axis"),
            },
            "dim_size" => {
                self.expect("[")?;
                let dim = self.dim()?;
                self.expect("]")?;
                Shape::DimSize { dim }.into()
            }
            "bind" => {
                self.expect("[")?;
                let dim = self.dim()?;
                self.expect("]")?;
                Shape::BindDim { dim }.into()
            }
            "read" => Index::Read(self.window()?).into(),
            "add_to" => Index::Add(self.window()?).into(),
            "write" => Index::Write(self.window()?).into(),
            "gather" => Index::Gather { axis: self.axis()? }.into(),
            "scatter_add" => Index::ScatterAdd { axis: self.axis()? }.into(),
            "take_along" => Index::TakeAlong { axis: self.axis()? }.into(),
            "put_along" => {
                let axis = self.axis()?;
                Index::PutAlong { axis, dim: self.axis_of(typed(self)?, axis, name)? }.into()
            }
            "lu" => Linalg::Lu.into(),
            "lu_solve" => {
                let [transposed] = self.words(["transposed"])?;
                Linalg::LuSolve { transposed }.into()
            }
            "log_det" => Linalg::LogDet.into(),
            "cholesky" => Linalg::Cholesky.into(),
            "solve_triangular" => {
                let [lower, _, transposed, unit] = self.words(["lower", "upper", "transposed", "unit"])?;
                Linalg::SolveTriangular(Triangle { lower, transposed, unit }).into()
            }
            "eigh" => Linalg::Eigh.into(),
            "for" => {
                self.expect("[")?;
                let trip = self.dim()?;
                let reverse = self.eat(",");
                if reverse {
                    self.expect("reverse")?;
                }
                self.expect("]")?;
                Control::For { trip, reverse }.into()
            }
            "if" => Control::If.into(),
            "while" => Control::While.into(),
            "check" => {
                self.expect("[")?;
                let message = self.quoted()?.into();
                self.expect("]")?;
                Control::Check { message }.into()
            }
            "call" | "call_tangent" => return self.error("a called function has rules, which the text does not hold"),
            _ => return self.error(format!("there is no operation `{name}`")),
        })
    }
}
