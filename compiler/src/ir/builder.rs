//! Builds functions statement by statement, computing every type from the operation's own rule.
//!
//! Every pass that makes IR does it through a [`Builder`]. [`Builder::try_stmt`] is for lowering, where a type error is the user's; the other methods
//! are for passes, where it is a defect of the pass, and panic.

use std::rc::Rc;

use super::{
    Body, Control, Dim, DimId, DimInfo, Einsum, Elem, Elementwise, Func, Index, Literal, Note, Op, Reduce, Shape, Stmt, Type, ValueId,
    Window,
};

/// Why an operation does not fit its operands. The sentence speaks of types; lowering words it for users.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeError(pub String);

/// A function under construction.
#[derive(Debug)]
pub struct Builder {
    func: Func,
    /// The bodies that are open, outermost first. There is always at least one.
    open: Vec<Body>,
    /// The note that the next statements' results get, where no other is given.
    note: Note,
    /// Dimensions that were found to be equal to others, each replaced by the one beside it.
    replaced: Vec<(DimId, Dim)>,
}

impl Builder {
    /// Starts an empty function.
    pub fn new(name: impl Into<String>) -> Self {
        Builder {
            func: Func { name: name.into(), dims: Vec::new(), types: Vec::new(), notes: Vec::new(), body: Body::default() },
            open: vec![Body::default()],
            note: Note::default(),
            replaced: Vec::new(),
        }
    }

    /// Starts a function with the symbolic dimensions of `source`, so that types can be copied from it unchanged.
    pub fn with_dims_of(name: impl Into<String>, source: &Func) -> Self {
        let mut b = Builder::new(name);
        b.func.dims.clone_from(&source.dims);
        b
    }

    /// Adds a symbolic dimension. The name is made unique by a number if it is taken.
    pub fn dim(&mut self, name: &str) -> DimId {
        let mut unique = name.to_owned();
        let mut n = 1;
        while self.func.dims.iter().any(|d| d.name == unique) {
            n += 1;
            unique = format!("{name}_{n}");
        }
        self.func.dims.push(DimInfo { name: unique });
        DimId(self.func.dims.len() as u32 - 1)
    }

    /// Makes `from` and `to` the same dimension: every type changes at once, statements when the function is finished. Lowering calls it where the
    /// user's code requires two lengths to be equal.
    pub fn replace_dim(&mut self, from: DimId, to: Dim) {
        assert_ne!(Dim::Sym(from), to, "a dimension does not replace itself");
        for ty in &mut self.func.types {
            for dim in &mut ty.dims {
                if *dim == Dim::Sym(from) {
                    *dim = to;
                }
            }
        }
        self.replaced.push((from, to));
    }

    /// The dimension that stands for `dim` after all replacements so far.
    pub fn current_dim(&self, dim: Dim) -> Dim {
        self.replaced.iter().fold(dim, |dim, &(from, to)| if dim == Dim::Sym(from) { to } else { dim })
    }

    /// Name of a symbolic dimension.
    pub fn dim_name(&self, dim: DimId) -> &str {
        self.func.dim_name(dim)
    }

    /// Adds a parameter to the innermost open body.
    pub fn param(&mut self, ty: Type, note: Note) -> ValueId {
        let value = self.value(ty, note);
        self.innermost().params.push(value);
        value
    }

    /// Type of a value of the function under construction.
    pub fn ty(&self, value: ValueId) -> &Type {
        self.func.ty(value)
    }

    /// Note on a value of the function under construction.
    pub fn note(&self, value: ValueId) -> &Note {
        self.func.note(value)
    }

    /// Replaces the note on a value.
    pub fn set_note(&mut self, value: ValueId, note: Note) {
        self.func.notes[value.0 as usize] = note;
    }

    /// Number of values so far.
    pub fn n_values(&self) -> usize {
        self.func.types.len()
    }

    /// Gives all values from the `first` on another place in the user's code.
    pub fn set_spans(&mut self, first: usize, span: proc_macro2::Span) {
        for note in &mut self.func.notes[first..] {
            note.span = span;
        }
    }

    /// Sets the note that results of the next statements get, and gives back the one before.
    pub fn set_default_note(&mut self, note: Note) -> Note {
        std::mem::replace(&mut self.note, note)
    }

    /// Opens a nested body. Parameters and statements go to it until [`Builder::close`].
    pub fn open(&mut self) {
        self.open.push(Body::default());
    }

    /// Closes the innermost nested body with the given results. The body is then an ingredient for [`Builder::try_stmt`].
    pub fn close(&mut self, results: Vec<ValueId>) -> Body {
        assert!(self.open.len() > 1, "the outermost body is closed by `finish`");
        let mut body = self.open.pop().expect("a body is open");
        body.results = results;
        body
    }

    /// How many nested bodies are open.
    pub fn depth(&self) -> usize {
        self.open.len() - 1
    }

    /// Appends a statement, its result types computed by the operation's rule.
    pub fn try_stmt(&mut self, op: Op, args: Vec<ValueId>, bodies: Vec<Body>) -> Result<Vec<ValueId>, TypeError> {
        self.try_stmt_at(self.depth(), op, args, bodies)
    }

    /// Appends a statement to the open body at the given depth, 0 being the outermost: it is executed before the control flow whose body is being
    /// built inside of that.
    pub fn try_stmt_at(&mut self, depth: usize, op: Op, args: Vec<ValueId>, bodies: Vec<Body>) -> Result<Vec<ValueId>, TypeError> {
        let is_visible = |&a: &ValueId| self.depth_of(a).is_some_and(|d| d <= depth);
        debug_assert!(depth == self.depth() || args.iter().all(is_visible), "operands are defined in the body or around it");
        let types = op.infer(&self.func, &args, &bodies)?;
        let note = self.note.clone();
        let outs: Vec<ValueId> = types.into_iter().map(|ty| self.value(ty, note.clone())).collect();
        self.open[depth].stmts.push(Stmt { outs: outs.clone(), op, args, bodies });
        Ok(outs)
    }

    /// The depth of the open body that defines a value; `None` if that body is closed.
    pub fn depth_of(&self, value: ValueId) -> Option<usize> {
        self.open.iter().position(|body| body.params.contains(&value) || body.stmts.iter().any(|s| s.outs.contains(&value)))
    }

    /// Whether a statement of an open body binds a dimension.
    pub fn is_bound(&self, dim: DimId) -> bool {
        self.open
            .iter()
            .flat_map(|body| &body.stmts)
            .any(|s| matches!(s.op, Op::Shape(Shape::BindDim { dim: Dim::Sym(bound) }) if bound == dim))
    }

    /// The statement in an open body that defines a value; `None` for parameters.
    pub fn definition(&self, value: ValueId) -> Option<&Stmt> {
        self.open.iter().flat_map(|body| &body.stmts).find(|s| s.outs.contains(&value))
    }

    /// Appends a statement of any kind.
    ///
    /// # Panics
    /// If the operation does not fit its operands.
    pub fn stmt(&mut self, op: impl Into<Op>, args: &[ValueId], bodies: Vec<Body>) -> Vec<ValueId> {
        let op = op.into();
        match self.try_stmt(op.clone(), args.to_vec(), bodies) {
            Ok(outs) => outs,
            Err(TypeError(why)) => {
                let types: Vec<_> = args.iter().map(|&a| self.ty(a).clone()).collect();
                panic!("{op:?} on {types:?} in `{}`: {why}", self.func.name)
            }
        }
    }

    /// Appends a statement with exactly one result.
    ///
    /// # Panics
    /// If the operation does not fit its operands or has another number of results.
    pub fn op(&mut self, op: impl Into<Op>, args: &[ValueId]) -> ValueId {
        let outs = self.stmt(op, args, Vec::new());
        assert_eq!(outs.len(), 1, "an operation with one result");
        outs[0]
    }

    /// Appends a copy of a statement of another function that shares this one's dimensions, with operands mapped by the caller and
    /// without nested bodies; results take the notes of the original.
    pub fn copy_stmt(&mut self, source: &Func, stmt: &Stmt, args: &[ValueId], bodies: Vec<Body>) -> Vec<ValueId> {
        let outs = self.stmt(stmt.op.clone(), args, bodies);
        for (&new, &old) in outs.iter().zip(&stmt.outs) {
            self.set_note(new, source.note(old).clone());
        }
        outs
    }

    /// Ends the function.
    ///
    /// # Panics
    /// If a nested body is still open.
    pub fn finish(mut self, results: Vec<ValueId>) -> Func {
        assert_eq!(self.open.len(), 1, "a nested body is still open");
        let mut body = self.open.pop().expect("the outermost body");
        body.results = results;
        self.func.body = body;
        if !self.replaced.is_empty() {
            self.apply_replacements();
        }
        self.func
    }

    /// Brings replaced dimensions into the statements' attributes, and drops them from the table.
    fn apply_replacements(&mut self) {
        let gone: std::collections::HashSet<DimId> = self.replaced.iter().map(|&(from, _)| from).collect();
        let kept: Vec<u32> = (0..self.func.dims.len() as u32).filter(|&k| !gone.contains(&DimId(k))).collect();
        let renumber: Vec<Dim> = (0..self.func.dims.len() as u32)
            .map(|k| match self.current_dim(Dim::Sym(DimId(k))) {
                Dim::Sym(DimId(j)) => Dim::Sym(DimId(kept.binary_search(&j).expect("a replacement is current") as u32)),
                constant @ Dim::Const(_) => constant,
            })
            .collect();
        self.func.dims = kept.iter().map(|&k| self.func.dims[k as usize].clone()).collect();
        for dim in self.func.types.iter_mut().flat_map(|ty| &mut ty.dims) {
            *dim = rename(*dim, &renumber);
        }
        rename_body(&mut self.func.body, &renumber);
    }

    // Shorthands for passes and rules, in the order of the families.

    /// A literal float scalar.
    pub fn float(&mut self, elem: Elem, x: f64) -> ValueId {
        self.op(Op::Const(elem, Literal::Float(x)), &[])
    }

    /// A literal `usize` scalar.
    pub fn index(&mut self, i: i64) -> ValueId {
        self.op(Op::Const(Elem::Usize, Literal::Int(i)), &[])
    }

    /// A float constant of the shape and element type of `like`.
    pub fn constant_like(&mut self, like: ValueId, x: f64) -> ValueId {
        let ty = self.ty(like).clone();
        self.constant(&ty, x)
    }

    /// A float constant of the given type.
    pub fn constant(&mut self, ty: &Type, x: f64) -> ValueId {
        let scalar = self.float(ty.elem, x);
        self.broadcast_scalar(scalar, &ty.dims)
    }

    /// A zero of any element type.
    pub fn zeros(&mut self, ty: &Type) -> ValueId {
        let literal = match ty.elem {
            Elem::F64 | Elem::F32 | Elem::Generic(_) => Literal::Float(0.0),
            Elem::Usize | Elem::I64 => Literal::Int(0),
            Elem::Bool => Literal::Bool(false),
        };
        let scalar = self.op(Op::Const(ty.elem, literal), &[]);
        self.broadcast_scalar(scalar, &ty.dims)
    }

    /// An element-wise operation.
    pub fn map(&mut self, op: Elementwise, args: &[ValueId]) -> ValueId {
        self.op(op, args)
    }

    /// `a + b`
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Add, &[a, b])
    }

    /// `a - b`
    pub fn sub(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Sub, &[a, b])
    }

    /// `a * b`, element by element
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Mul, &[a, b])
    }

    /// `a / b`, element by element
    pub fn div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Div, &[a, b])
    }

    /// `-a`
    pub fn neg(&mut self, a: ValueId) -> ValueId {
        self.op(Elementwise::Neg, &[a])
    }

    /// `a * x` with a constant
    pub fn scale(&mut self, a: ValueId, x: f64) -> ValueId {
        let c = self.constant_like(a, x);
        self.mul(c, a)
    }

    /// `if c { a } else { b }`, element by element
    pub fn select(&mut self, c: ValueId, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Select, &[c, a, b])
    }

    /// Sum over axes; no statement where there are none.
    pub fn sum(&mut self, a: ValueId, axes: &[usize]) -> ValueId {
        if axes.is_empty() {
            return a;
        }
        self.op(Reduce::Sum { axes: axes.to_vec() }, &[a])
    }

    /// Einsum from its usual notation, such as `"ij,jk->ik"`.
    ///
    /// # Panics
    /// If the notation is not of that form.
    pub fn einsum(&mut self, spec: &str, a: ValueId, b: ValueId) -> ValueId {
        let spec: Einsum = spec.parse().expect("an einsum specification");
        self.op(spec, &[a, b])
    }

    /// Repeats `a` along new axes, see [`Shape::Broadcast`]; no statement where the shape stays.
    pub fn broadcast(&mut self, a: ValueId, axes: &[usize], dims: &[Dim]) -> ValueId {
        if self.ty(a).dims == dims {
            return a;
        }
        self.op(Shape::Broadcast { axes: axes.to_vec(), dims: dims.to_vec() }, &[a])
    }

    /// Repeats a scalar to the given shape.
    pub fn broadcast_scalar(&mut self, a: ValueId, dims: &[Dim]) -> ValueId {
        debug_assert_eq!(self.ty(a).rank(), 0, "a scalar");
        self.broadcast(a, &[], dims)
    }

    /// Repeats `a` along `removed` axes (positions in the result), undoing the shape of a reduction: `dims` are the operand's before it.
    pub fn broadcast_over(&mut self, a: ValueId, removed: &[usize], dims: &[Dim]) -> ValueId {
        let kept: Vec<usize> = (0..dims.len()).filter(|k| !removed.contains(k)).collect();
        self.broadcast(a, &kept, dims)
    }

    /// Reorders axes; no statement for the identity.
    pub fn permute(&mut self, a: ValueId, perm: &[usize]) -> ValueId {
        if perm.iter().enumerate().all(|(k, &p)| k == p) {
            return a;
        }
        self.op(Shape::Permute { perm: perm.to_vec() }, &[a])
    }

    /// The part of `a` at one position of an axis.
    pub fn read_at(&mut self, a: ValueId, axis: usize, position: ValueId) -> ValueId {
        self.op(Index::Read(Window::at(axis)), &[a, position])
    }

    /// A length as a `usize` scalar.
    pub fn dim_size(&mut self, dim: Dim) -> ValueId {
        self.op(Shape::DimSize { dim }, &[])
    }

    /// The number of elements along `axes` of a type, as a float scalar.
    pub fn count(&mut self, ty: &Type, axes: &[usize]) -> ValueId {
        let mut n: Option<ValueId> = None;
        for &axis in axes {
            let d = self.dim_size(ty.dims[axis]);
            n = Some(match n {
                Some(n) => self.mul(n, d),
                None => d,
            });
        }
        let n = n.unwrap_or_else(|| self.index(1));
        self.op(Elementwise::Cast(ty.elem), &[n])
    }

    /// Appends the statements of `callee`, its parameters replaced by `args` and its symbolic dimensions by what the arguments' types say, and gives
    /// its results. Dimensions that `callee` binds itself become new ones here.
    ///
    /// # Panics
    /// If the arguments do not fit the parameters.
    pub fn inline(&mut self, callee: &Func, args: &[ValueId]) -> Vec<ValueId> {
        assert_eq!(callee.params().len(), args.len(), "as many arguments as `{}` has parameters", callee.name);
        let mut dims: Vec<Option<Dim>> = vec![None; callee.dims.len()];
        for (&param, &arg) in callee.params().iter().zip(args) {
            let (want, have) = (callee.ty(param), self.ty(arg).clone());
            assert_eq!((want.elem, want.rank()), (have.elem, have.rank()), "argument type of `{}`", callee.name);
            for (w, h) in want.dims.iter().zip(&have.dims) {
                match *w {
                    Dim::Const(_) => assert_eq!(w, h, "dimension of an argument of `{}`", callee.name),
                    Dim::Sym(id) => {
                        let slot = &mut dims[id.0 as usize];
                        assert_eq!(*slot.get_or_insert(*h), *h, "dimension of an argument of `{}`", callee.name);
                    }
                }
            }
        }
        let dims: Vec<Dim> =
            dims.into_iter().enumerate().map(|(k, d)| d.unwrap_or_else(|| Dim::Sym(self.dim(&callee.dims[k].name)))).collect();
        let mut env: Vec<Option<ValueId>> = vec![None; callee.types.len()];
        for (&param, &arg) in callee.params().iter().zip(args) {
            env[param.0 as usize] = Some(arg);
        }
        self.inline_body(callee, &callee.body, &dims, &mut env)
    }

    /// The statements of one body of `callee`, appended to the innermost open body; gives the body's results.
    fn inline_body(&mut self, callee: &Func, body: &Body, dims: &[Dim], env: &mut [Option<ValueId>]) -> Vec<ValueId> {
        for stmt in &body.stmts {
            let args: Vec<ValueId> = stmt.args.iter().map(|a| env[a.0 as usize].expect("defined before use")).collect();
            let mut bodies = Vec::with_capacity(stmt.bodies.len());
            for nested in &stmt.bodies {
                self.open();
                for &p in &nested.params {
                    let ty = callee.ty(p);
                    let ty = ty.with_dims(ty.dims.iter().map(|&d| rename(d, dims)).collect::<Vec<_>>());
                    env[p.0 as usize] = Some(self.param(ty, callee.note(p).clone()));
                }
                let results = self.inline_body(callee, nested, dims, env);
                bodies.push(self.close(results));
            }
            let outs = self.stmt(stmt.op.with_dims(|d| rename(d, dims)), &args, bodies);
            for (&new, &old) in outs.iter().zip(&stmt.outs) {
                self.set_note(new, callee.note(old).clone());
                env[old.0 as usize] = Some(new);
            }
        }
        body.results.iter().map(|r| env[r.0 as usize].expect("defined before use")).collect()
    }

    fn value(&mut self, ty: Type, note: Note) -> ValueId {
        self.func.types.push(ty);
        self.func.notes.push(note);
        ValueId(self.func.types.len() as u32 - 1)
    }

    fn innermost(&mut self) -> &mut Body {
        self.open.last_mut().expect("a body is open")
    }
}

/// Replaces symbols in the attributes of all statements.
fn rename_body(body: &mut Body, dims: &[Dim]) {
    for stmt in &mut body.stmts {
        stmt.op = stmt.op.with_dims(|d| rename(d, dims));
        for nested in &mut stmt.bodies {
            rename_body(nested, dims);
        }
    }
}

/// `dim` with its symbol replaced.
fn rename(dim: Dim, dims: &[Dim]) -> Dim {
    match dim {
        Dim::Const(_) => dim,
        Dim::Sym(DimId(k)) => dims[k as usize],
    }
}

impl Op {
    /// The same operation with every dimension in its attributes replaced.
    pub fn with_dims(&self, mut f: impl FnMut(Dim) -> Dim) -> Op {
        match self {
            Op::Const(..) | Op::Elementwise(_) | Op::Reduce(_) | Op::Einsum(_) | Op::Linalg(_) | Op::Call(_) => self.clone(),
            Op::Shape(shape) => Op::Shape(match shape {
                Shape::Broadcast { axes, dims } => Shape::Broadcast { axes: axes.clone(), dims: dims.iter().map(|&d| f(d)).collect() },
                Shape::Permute { .. } => shape.clone(),
                Shape::Reshape { dims } => Shape::Reshape { dims: dims.iter().map(|&d| f(d)).collect() },
                Shape::Concat { axis, dim } => Shape::Concat { axis: *axis, dim: f(*dim) },
                Shape::Unfold { axis, out, len, step, dilation } => {
                    Shape::Unfold { axis: *axis, out: f(*out), len: f(*len), step: *step, dilation: *dilation }
                }
                Shape::Fold { axis, dim, step, dilation } => Shape::Fold { axis: *axis, dim: f(*dim), step: *step, dilation: *dilation },
                Shape::Iota { dim } => Shape::Iota { dim: f(*dim) },
                Shape::DimSize { dim } => Shape::DimSize { dim: f(*dim) },
                Shape::BindDim { dim } => Shape::BindDim { dim: f(*dim) },
            }),
            Op::Index(index) => Op::Index(match index {
                Index::Read(window) => Index::Read(window.with_dims(f)),
                Index::Add(window) => Index::Add(window.with_dims(f)),
                Index::Write(window) => Index::Write(window.with_dims(f)),
                Index::Gather { .. } | Index::ScatterAdd { .. } | Index::TakeAlong { .. } => index.clone(),
                Index::PutAlong { axis, dim } => Index::PutAlong { axis: *axis, dim: f(*dim) },
            }),
            Op::Control(control) => Op::Control(match control {
                Control::For { trip, reverse } => Control::For { trip: f(*trip), reverse: *reverse },
                Control::If | Control::While | Control::Check { .. } => control.clone(),
            }),
        }
    }

    /// Calls `f` for every dimension in the operation's attributes.
    pub fn for_each_dim(&self, mut f: impl FnMut(Dim)) {
        let _ = self.with_dims(|d| {
            f(d);
            d
        });
    }
}

impl std::str::FromStr for Einsum {
    type Err = TypeError;

    fn from_str(s: &str) -> Result<Self, TypeError> {
        let bad = || TypeError(format!("`{s}` is not of the form `ij,jk->ik`"));
        let (operands, out) = s.split_once("->").ok_or_else(bad)?;
        let (lhs, rhs) = operands.split_once(',').ok_or_else(bad)?;
        let labels = |part: &str| -> Result<Vec<u8>, TypeError> {
            part.trim().bytes().map(|c| if c.is_ascii_lowercase() { Ok(c - b'a') } else { Err(bad()) }).collect()
        };
        Ok(Einsum { lhs: labels(lhs)?, rhs: labels(rhs)?, out: labels(out)? })
    }
}

impl std::fmt::Display for Einsum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let part = |labels: &[u8]| -> Rc<str> { labels.iter().map(|&l| char::from(b'a' + l)).collect::<String>().into() };
        write!(f, "{},{}->{}", part(&self.lhs), part(&self.rhs), part(&self.out))
    }
}
