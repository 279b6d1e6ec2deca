//! Random functions in the accepted language, as text.
//!
//! Each is well typed, borrows what it does not own, and keeps its numbers of moderate size: an expression carries a rough bound on its absolute
//! value, and is brought back by `tanh` or `sin` where that is large. Arrays have the lengths `n` and `m`, so that every operation between two of
//! them fits.

use bilevel_compiler::testing::Random;

use super::types::{Axis, Expr, Holds, Ty, Variable};

/// A function, with the items that it uses in front of it.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) text: String,
    /// Decides the arguments.
    pub(crate) seed: u64,
}

/// What a function gives back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Output {
    Number,
    Value(Ty),
    Tuple,
    Struct,
}

/// The function of a seed.
pub(crate) fn function(seed: u64) -> Function {
    let mut draw = Draw::new(seed);
    let name = format!("f{seed}");
    let mut items = String::new();
    let fields = draw.random.one_in(4).then(|| format!("P{seed}"));
    if let Some(name) = &fields {
        draw.fields = name.clone();
        items.push_str(&format!(
            "#[derive(Clone, Params)]\npub struct {name} {{\n    pub c: f64,\n    pub d: Array1<f64>,\n    pub e: Array2<f64>,\n}}\n\n\
             impl Numbers for {name} {{\n    fn numbers(&self) -> Vec<f64> {{\n        self.flat().to_vec()\n    }}\n}}\n\n"
        ));
    }
    if draw.random.one_in(3) {
        items.push_str(&helper(seed));
        draw.helper = Some(format!("h{seed}"));
    }
    let params = draw.params(fields.as_deref());
    draw.output = match draw.random.below(8) {
        0 => Output::Value(Ty::Vector(Axis::N)),
        1 => Output::Value(Ty::Matrix(Axis::N, Axis::M)),
        2 => Output::Tuple,
        3 if fields.is_some() => Output::Struct,
        _ => Output::Number,
    };
    let output = match draw.output {
        Output::Number | Output::Value(Ty::Number) => "f64",
        Output::Value(Ty::Vector(_)) => "Array1<f64>",
        Output::Value(Ty::Matrix(..)) => "Array2<f64>",
        Output::Tuple => "(f64, Array1<f64>)",
        Output::Struct => fields.as_deref().unwrap_or("f64"),
    }
    .to_owned();
    let mut body = String::new();
    for _ in 0..2 + draw.random.below(4) {
        let statement = draw.statement();
        body.push_str(&statement);
    }
    let result = draw.result();
    let text = format!("{items}#[differentiable]\nfn {name}({params}) -> {output} {{\n{body}{result}\n}}\n");
    Function { name, text, seed }
}

/// A function of a vector `x` and a number `a`, for others to call and to differentiate.
fn helper(seed: u64) -> String {
    let mut draw = Draw::new(!seed);
    draw.variables =
        vec![Variable { holds: Holds::Reference, ..Variable::local("x", Ty::Vector(Axis::N), 2.0) }, Variable::local("a", Ty::Number, 2.0)];
    draw.is_helper = true;
    let mut body = String::new();
    for _ in 0..1 + draw.random.below(2) {
        let statement = draw.statement();
        body.push_str(&statement);
    }
    let result = draw.result();
    format!("#[differentiable]\nfn h{seed}(x: &Array1<f64>, a: f64) -> f64 {{\n{body}{result}\n}}\n\n")
}

/// Absolute values may grow to this size before they are brought back.
pub(super) const LARGE: f64 = 5.0;

/// A template that few functions draw: one function in ten takes it wherever it fits first.
const RARE_TEMPLATE: &str = "linalg::solve(";

pub(super) struct Draw {
    /// The text of a template that is taken wherever it fits first.
    pub(super) first: Option<&'static str>,
    pub(super) random: Random,
    /// Variables in scope.
    pub(super) variables: Vec<Variable>,
    /// The indices of the loops around, with the axis whose positions they are.
    pub(super) loops: Vec<(String, Axis)>,
    /// Names of closures from a number to a number between -1 and 1.
    pub(super) closures: Vec<String>,
    /// The name of a function of a vector and a number that may be called.
    pub(super) helper: Option<String>,
    /// Whether the function is one for others to call: it has few parameters.
    pub(super) is_helper: bool,
    /// Whether there are numbers only: inside of a closure over elements.
    pub(super) only_numbers: bool,
    pub(super) output: Output,
    /// The struct, if there is one.
    fields: String,
    n_names: usize,
    /// How deep control flow is nested.
    pub(super) depth: usize,
}

impl Draw {
    fn new(seed: u64) -> Self {
        Draw {
            first: (seed % 10 == 7).then_some(RARE_TEMPLATE),
            random: Random::new(seed ^ 0x5eed_0000),
            variables: Vec::new(),
            loops: Vec::new(),
            closures: Vec::new(),
            helper: None,
            is_helper: false,
            only_numbers: false,
            output: Output::Number,
            fields: String::new(),
            n_names: 0,
            depth: 0,
        }
    }

    pub(super) fn name(&mut self, stem: &str) -> String {
        self.n_names += 1;
        format!("{stem}{}", self.n_names)
    }

    pub(super) fn axis(&mut self) -> Axis {
        if self.random.one_in(2) { Axis::N } else { Axis::M }
    }

    /// The parameters. What an argument is follows from the name, and how it is passed from the type; see `arguments`.
    fn params(&mut self, fields: Option<&str>) -> String {
        use Axis::{M, N};
        let mut types = vec![("w", Ty::Matrix(N, M)), ("x", Ty::Vector(N)), ("y", Ty::Vector(M)), ("a", Ty::Number)];
        let more = [("b", Ty::Number), ("u", Ty::Vector(N)), ("v", Ty::Matrix(M, M))];
        types.extend(more.into_iter().filter(|_| self.random.one_in(3)));
        let named = self.random.one_in(3);
        let mut texts = Vec::new();
        for (name, ty) in types {
            let (attribute, rank) = match ty {
                Ty::Number => (String::new(), 0),
                Ty::Vector(n) => (format!("#[shape({n:?})] ").to_lowercase(), 1),
                Ty::Matrix(n, m) => (format!("#[shape({n:?}, {m:?})] ").to_lowercase(), 2),
            };
            let (holds, text) = match (rank, self.random.below(4)) {
                (0, 0) => (Holds::Reference, format!("{name}: &f64")),
                (0, _) => (Holds::Owned, format!("{name}: f64")),
                (_, 0) => (Holds::View, format!("{name}: ArrayView{rank}<'_, f64>")),
                (_, _) => (Holds::Reference, format!("{name}: &Array{rank}<f64>")),
            };
            texts.push(if named { format!("{attribute}{text}") } else { text });
            self.variables.push(Variable { holds, ..Variable::local(name, ty, 1.5) });
        }
        if self.random.one_in(4) {
            texts.push("q: &(Array1<f64>, f64)".to_owned());
            self.variables.push(Variable::local("q.0", Ty::Vector(M), 1.5));
            self.variables.push(Variable::local("q.1", Ty::Number, 1.5));
        }
        if let Some(fields) = fields {
            texts.push(format!("p: &{fields}"));
            self.variables.push(Variable::local("p.c", Ty::Number, 1.5));
            self.variables.push(Variable::local("p.d", Ty::Vector(N), 1.5));
            self.variables.push(Variable::local("p.e", Ty::Matrix(N, M), 1.5));
        }
        texts.extend(["k: usize", "flag: bool", "l: &Array1<usize>"].map(str::to_owned));
        texts.join(", ")
    }

    /// An expression for the result.
    pub(super) fn result(&mut self) -> String {
        match self.output {
            Output::Value(ty) => self.any(ty, 2).owned(ty),
            Output::Tuple => {
                let (number, vector) = (self.any(Ty::Number, 2), self.any(Ty::Vector(Axis::M), 1));
                format!("({}, {})", number.operand, vector.owned(Ty::Vector(Axis::M)))
            }
            Output::Struct => {
                let (n, m) = (Axis::N, Axis::M);
                let [c, d, e] = [Ty::Number, Ty::Vector(n), Ty::Matrix(n, m)].map(|ty| self.any(ty, 1).owned(ty));
                match self.random.below(2) {
                    0 => format!("{{ let mut out = p.clone(); out.d = {d}; out.c += {c}; out }}"),
                    _ => format!("{} {{ c: {c}, d: {d}, e: {e} }}", self.fields),
                }
            }
            // All that there is so far, so that little of the body is dead.
            Output::Number => {
                let term = |v: &Variable| match v.ty {
                    Ty::Number => format!("0.5 * {}", Expr::of(v).operand),
                    Ty::Vector(_) | Ty::Matrix(..) => format!("{}.sum()", v.name),
                };
                self.variables.iter().map(term).collect::<Vec<_>>().join(" + ")
            }
        }
    }
}
