//! Lowering: a function of the user's becomes IR.
//!
//! Expressions are read in the order of evaluation. Each gives a [`Value`]: mostly a tensor of the IR, but also what has no place there, such as an
//! `Axis(1)` or a literal whose type is not known yet. References, views and clones are erased, since the IR is pure. A mutable variable is a name that
//! stands for another value after each assignment; branches and loops give back what they changed.
//!
//! Lengths are symbols, one for each axis of each parameter, and become equal where the code requires it (`x.dot(&w)` makes `x_cols` and `w_rows` one
//! dimension). Broadcasting follows `ndarray`'s rules for axes that are known to differ: a missing axis and an axis of the constant length one.
//!
//! An error makes its expression [`Value::Poison`], which silences what depends on it; everything independent is still read, so that all errors
//! appear together.

mod array_functions;
mod assign;
mod axes;
mod branches;
mod compositions;
mod constructors;
mod counters;
mod dependence;
mod derivatives;
mod elements;
mod exits;
mod expr;
mod filters;
mod fixed;
mod folds;
mod functions;
mod generics;
mod instead;
mod iterate;
mod iterators;
mod lengths;
mod linalg;
mod loops;
mod macros;
mod matches;
mod methods;
mod methods_table;
mod networks;
mod operators;
mod own_functions;
mod places;
mod places_table;
mod reductions;
mod rules;
mod scope;
mod shapes;
mod slices;
mod spellings;
mod stmt;
mod structs;
mod subiterators;
mod value;
mod while_loops;
mod windows;

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::Visit;

pub use dependence::depends_on;
pub use rules::read_rules;
pub use spellings::{Category, On, Spelling, refused_spellings, spellings};

use crate::diagnostics::{Diagnostics, Message, messages};
use crate::dump;
use crate::ir::builder::TypeError;
use crate::ir::{Builder, Dim, DimId, Elem, Literal, Note, Op, Type, ValueId};
use crate::syntax::form::member_name;
use crate::syntax::generics::TypeArguments;
use crate::syntax::items::Found;
use crate::syntax::shapes::{Length, shapes};
use crate::syntax::{Assumed, Form, Items, Lowered, Place, Signature, TypeNames, source_text};
use scope::Scope;
use structs::Fields;
use value::{Number, Value, describe_type};

/// Lowers a function whose signature has been read. `None` if there was an error, which is then in `diags`.
pub fn lower(item: &syn::ItemFn, signature: Signature, items: &Items, diags: &mut Diagnostics) -> Option<Lowered> {
    lower_here(item, signature, items, Gradients::Spliced, diags)
}

/// [`lower`] for the step of an optimiser: the gradients in it stay single operations, which have rules of their own, until [`derive::expand`] takes them apart.
///
/// [`derive::expand`]: crate::derive::expand
pub fn lower_step(item: &syn::ItemFn, signature: Signature, items: &Items, diags: &mut Diagnostics) -> Option<Lowered> {
    lower_here(item, signature, items, Gradients::Kept, diags)
}

fn lower_here(item: &syn::ItemFn, signature: Signature, items: &Items, gradients: Gradients, diags: &mut Diagnostics) -> Option<Lowered> {
    let name = signature.name.unraw().to_string();
    let found = Found { item, id: &name, place: Place::HERE, foreign: false };
    lower_at(found, signature, items, vec![name.clone()], gradients, diags)
}

/// What `grad!` becomes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Gradients {
    /// The statements of the gradient.
    Spliced,
    /// One operation, where that has rules.
    Kept,
}

/// [`lower`] for a function that may stand elsewhere.
pub fn lower_found(found: Found<'_, syn::ItemFn>, signature: Signature, items: &Items, diags: &mut Diagnostics) -> Option<Lowered> {
    lower_at(found, signature, items, vec![found.id.to_owned()], Gradients::Spliced, diags)
}

/// [`lower_found`]; `calls` are the functions being lowered, outermost first, the last being this one.
fn lower_at(
    found: Found<'_, syn::ItemFn>,
    signature: Signature,
    items: &Items,
    calls: Vec<String>,
    gradients: Gradients,
    diags: &mut Diagnostics,
) -> Option<Lowered> {
    let before = diags.n_errors();
    let item = found.item;
    let mut lowering = Lowering::new(signature.name.unraw().to_string(), default_float(&signature), items, diags);
    lowering.place = found.place;
    lowering.calls = calls;
    lowering.gradients = gradients;
    lowering.generics = signature.generics.clone();
    lowering.types = signature.types.clone();
    lowering.refuse_conditional(|visitor| visitor.visit_block(&item.block));
    let const_params: Vec<syn::Ident> = signature.generics.const_params().map(|p| p.ident.clone()).collect();
    for name in &const_params {
        let dim = lowering.b.dim(&name.to_string().to_lowercase());
        lowering.const_params.insert(name.to_string(), Dim::Sym(dim));
    }
    let shapes = shapes(item, lowering.diags);
    for (param, shape) in signature.params.iter().zip(&shapes) {
        let name = param.name.unraw().to_string();
        let said = shape.as_ref().and_then(|shape| lowering.fitting_shape(&param.form, &name, shape));
        let value = lowering.parameter(&param.form, &name, said, param.name.span());
        lowering.scope.bind(name, value);
    }
    for name in &const_params {
        lowering.bind_const_param(name);
    }
    let value = lowering.function_body(&item.block);
    let results = lowering.results(&value, &signature, item)?;
    if lowering.diags.n_errors() > before {
        return None;
    }
    let assumed = std::mem::take(&mut lowering.assumed);
    let func = lowering.b.finish(results);
    dump::ir("lowered", &func);
    Some(Lowered { func, signature, assumed })
}

/// Reads the value of a constant to find out what it refers to: the names that were taken for items that the macro does not see. `None` if there was an
/// error or an item is missing, which is then in `diags`.
pub fn read_constant(item: &syn::ItemConst, items: &Items, diags: &mut Diagnostics) -> Option<Vec<Assumed>> {
    let before = diags.n_errors();
    let name = item.ident.unraw().to_string();
    let float = if source_text(&item.ty) == "f32" { Elem::F32 } else { Elem::F64 };
    let mut lowering = Lowering::new(String::new(), float, items, diags);
    let value = lowering.const_item(Found { item, id: &name, place: Place::HERE, foreign: false });
    let assumed = std::mem::take(&mut lowering.assumed);
    if value.is_poisoned() || lowering.diags.n_errors() > before { None } else { Some(assumed) }
}

/// The float type of literals and constructors that nothing else gives a type. In a function that is generic over it, literals have none.
fn default_float(signature: &Signature) -> Elem {
    let leaves = signature.params.iter().map(|p| &p.form).chain([&signature.output]).flat_map(Form::leaves);
    let floats: HashSet<Elem> = leaves.map(|(elem, _)| elem).filter(|e| e.is_float()).collect();
    let generic = floats.iter().copied().filter(|elem| matches!(elem, Elem::Generic(_))).min();
    generic.unwrap_or(if floats.len() == 1 && floats.contains(&Elem::F32) { Elem::F32 } else { Elem::F64 })
}

/// The context of lowering one function.
struct Lowering<'a> {
    b: Builder,
    diags: &'a mut Diagnostics,
    items: &'a Items,
    /// Where the tokens that are being lowered stand.
    place: Place,
    /// The generic parameters of the function being lowered.
    generics: syn::Generics,
    /// What those of them that are types stand for.
    types: TypeArguments,
    scope: Scope<Value>,
    /// The functions being lowered, outermost first, to find recursion.
    calls: Vec<String>,
    default_float: Elem,
    gradients: Gradients,
    /// Values that are the length of a dimension, and the depth of nested bodies at which the dimension is known.
    lengths: HashMap<ValueId, (Dim, usize)>,
    /// What is known of the lengths that statements compute.
    computed_lengths: lengths::Computed,
    /// Which lengths are named, and where each comes from.
    shapes: shapes::Lengths,
    /// Dimensions bound by a statement, which no argument can be checked against.
    computed: HashSet<DimId>,
    /// Integer constants, for axes and exponents that are named.
    known: HashMap<ValueId, i64>,
    /// The dimensions that the constant parameters of the function being lowered are.
    const_params: HashMap<String, Dim>,
    /// Lengths that are so much shorter than a dimension: the dimension, by how much, and the value.
    shortened: Vec<(Dim, u64, ValueId)>,
    closure: Option<Closure>,
    /// Helper functions whose errors have been reported.
    faulty: HashSet<String>,
    /// How deep the expression is nested.
    depth: usize,
    /// Names taken for items that the macro does not see.
    assumed: Vec<Assumed>,
    /// Integers whose type is not said.
    counters: counters::Counters,
    /// The numbers of windows on axes.
    window_counts: Vec<windows::WindowCount>,
    /// The open bodies that can be left early, innermost last.
    targets: Vec<exits::Target>,
    /// Whether the present place is not reached, because the body has been left before it.
    ended: bool,
    /// The places of all views that have been bound to names.
    views: Vec<places::Place>,
}

/// The element-wise closure being lowered.
#[derive(Clone, Debug)]
struct Closure {
    /// The shape of the array it is mapped over.
    dims: Vec<Dim>,
    /// What was bound before the closure cannot be assigned in it.
    mark: usize,
    /// For which elements the present place is reached: the conjunction of the conditions around it.
    reached: Option<ValueId>,
}

impl<'a> Lowering<'a> {
    fn new(name: String, default_float: Elem, items: &'a Items, diags: &'a mut Diagnostics) -> Self {
        Lowering {
            b: Builder::new(name.clone()),
            diags,
            items,
            place: Place::HERE,
            generics: syn::Generics::default(),
            types: TypeArguments::new(),
            scope: Scope::default(),
            calls: vec![name],
            default_float,
            gradients: Gradients::Spliced,
            lengths: HashMap::new(),
            computed_lengths: lengths::Computed::default(),
            shapes: shapes::Lengths::default(),
            computed: HashSet::new(),
            known: HashMap::new(),
            const_params: HashMap::new(),
            shortened: Vec::new(),
            closure: None,
            faulty: HashSet::new(),
            depth: 0,
            assumed: Vec::new(),
            counters: counters::Counters::default(),
            window_counts: Vec::new(),
            targets: Vec::new(),
            ended: false,
            views: Vec::new(),
        }
    }
}

impl<'a> Lowering<'a> {
    /// What names in types stand for in the function being lowered.
    fn type_names(&self) -> TypeNames<'a> {
        TypeNames::new(self.items, self.place).within(&self.generics, &self.types)
    }
}

impl Lowering<'_> {
    /// A parameter as a value: one IR parameter per leaf, with a dimension for each axis, of which `said` is what `#[shape(..)]` says.
    fn parameter(&mut self, form: &Form, name: &str, said: Option<&[Length]>, span: Span) -> Value {
        match form {
            Form::Scalar(elem) => {
                let note = Note { name: Some(name.into()), ..Note::at(span) };
                Value::Tensor(self.b.param(Type::scalar(*elem), note))
            }
            Form::Array { elem, rank, .. } => {
                let suffix = |k: usize| match (rank, k) {
                    (1, _) => "len".to_owned(),
                    (2, 0) => "rows".to_owned(),
                    (2, _) => "cols".to_owned(),
                    _ => format!("dim{k}"),
                };
                let suffixes: Vec<String> = (0..*rank).map(suffix).collect();
                let dims = self.parameter_dims(name, &suffixes, said);
                let note = Note { name: Some(name.into()), ..Note::at(span) };
                Value::Tensor(self.b.param(Type::tensor(*elem, dims), note))
            }
            Form::Fixed { elem, lengths } => {
                let dims: Vec<Dim> = lengths.iter().filter_map(|length| self.fixed_dim(length)).collect();
                let note = Note { name: Some(name.into()), ..Note::at(span) };
                Value::Fixed(self.b.param(Type::tensor(*elem, dims), note))
            }
            Form::Tuple(parts) => {
                let parts = parts.iter().enumerate().map(|(k, part)| self.parameter(part, &format!("{name}_{k}"), None, span));
                Value::Tuple(parts.collect())
            }
            Form::Struct(of) => {
                let values =
                    of.fields.iter().map(|(member, part)| self.parameter(part, &format!("{name}_{}", member_name(member)), None, span));
                Value::Struct(Rc::new(Fields { values: values.collect(), form: of.clone() }))
            }
        }
    }

    /// The body of a function.
    fn function_body(&mut self, block: &syn::Block) -> Value {
        self.returning(|this| this.block_at(block, true))
    }

    /// The results of the whole function as IR values, checked against the signature.
    fn results(&mut self, value: &Value, signature: &Signature, item: &syn::ItemFn) -> Option<Vec<ValueId>> {
        let value = self.conform(value.clone(), &signature.output, &tail_of(item))?;
        let mut results = Vec::new();
        for leaf in value.leaves()? {
            match leaf {
                Value::Tensor(v) | Value::Lane(v) => results.push(v),
                Value::Number(_) | Value::Tuple(_) | Value::Struct(_) | Value::Option(..) | Value::Lengths(_) | Value::Axis(_) => {
                    return None;
                }
                Value::Fixed(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => return None,
            }
        }
        Some(results)
    }

    /// The value in the form of a signature or annotation, literals given their type; `None` and an error if it does not fit.
    fn conform(&mut self, value: Value, form: &Form, at: &dyn ToTokens) -> Option<Value> {
        if value.is_poisoned() {
            return None;
        }
        match (value, form) {
            (Value::Number(n), Form::Scalar(elem)) => self.constant(n, *elem, at).map(Value::Tensor),
            (Value::Tuple(parts), Form::Tuple(forms)) if parts.len() == forms.len() => {
                let parts: Vec<Option<Value>> = parts.into_iter().zip(forms).map(|(p, f)| self.conform(p, f, at)).collect();
                parts.into_iter().collect::<Option<Vec<_>>>().map(Value::Tuple)
            }
            (Value::Struct(fields), Form::Struct(of)) if fields.form.fields == of.fields => Some(Value::Struct(fields)),
            (Value::Fixed(v), Form::Fixed { elem, lengths }) if self.b.ty(v).elem == *elem && self.lengths_agree(v, lengths) => {
                self.fix_lengths(v, lengths, at).then_some(Value::Fixed(v))
            }
            (Value::Tensor(v), Form::Scalar(elem)) if *self.b.ty(v) == Type::scalar(*elem) => {
                self.counters.is_usize(v);
                Some(Value::Tensor(v))
            }
            (Value::Lane(v), Form::Scalar(elem)) if self.b.ty(v).elem == *elem => Some(Value::Lane(v)),
            (Value::Tensor(v), Form::Array { elem, rank, .. }) if (self.b.ty(v).elem, self.b.ty(v).rank()) == (*elem, *rank) => {
                Some(Value::Tensor(v))
            }
            (Value::Option(_, method), _) => {
                self.error(at, messages::OPTION_NOT_UNWRAPPED, &[&text(at), method]);
                None
            }
            (value, form) => {
                let found = self.describe(&value);
                self.error(at, messages::RESULT_TYPE, &[&text(at), &describe_form(form), &found]);
                None
            }
        }
    }

    /// Appends a statement that computes the expression `at`. An error of types that lowering did not foresee is reported.
    fn emit(&mut self, at: &dyn ToTokens, op: impl Into<Op>, args: &[ValueId]) -> Option<ValueId> {
        self.append(Note::of_source(&text(at), span_of(at)), at, op.into(), args)
    }

    /// Appends a statement that is a part of computing the expression `at`.
    fn part(&mut self, at: &dyn ToTokens, op: impl Into<Op>, args: &[ValueId]) -> Option<ValueId> {
        self.append(part_of(at), at, op.into(), args)
    }

    fn append(&mut self, note: Note, at: &dyn ToTokens, op: Op, args: &[ValueId]) -> Option<ValueId> {
        self.b.set_default_note(note);
        match self.b.try_stmt(op, args.to_vec(), Vec::new()) {
            Ok(outs) => outs.first().copied(),
            Err(TypeError(why)) => {
                self.error(at, messages::OPERANDS, &[&text(at), &why]);
                None
            }
        }
    }

    /// A literal of a known type.
    fn constant(&mut self, number: Number, elem: Elem, at: &dyn ToTokens) -> Option<ValueId> {
        let literal = match (number, elem) {
            (Number::Float(wide, _), Elem::F64) => Literal::Float(wide),
            (Number::Float(_, narrow), Elem::F32) => Literal::Float(f64::from(narrow)),
            // rustc refuses integers for floats and the reverse; what is generated for them does not matter.
            (Number::Int(i), Elem::F64) => Literal::Float(i as f64),
            (Number::Int(i), Elem::F32) => Literal::Float(f64::from(i as f32)),
            (_, Elem::Generic(param)) => {
                let shown = text(at);
                let float = if matches!(number, Number::Int(_)) { format!("{shown}.0") } else { shown.clone() };
                self.error(at, messages::GENERIC_LITERAL, &[&shown, param.name(), &float]);
                return None;
            }
            (Number::Int(i), Elem::I64) => Literal::Int(i),
            (Number::Int(i), Elem::Usize) if i >= 0 => Literal::Int(i),
            (Number::Int(_), Elem::Usize | Elem::Bool) | (Number::Float(..), Elem::Usize | Elem::I64 | Elem::Bool) => {
                self.error(at, messages::NUMBER_TOO_LARGE, &[&text(at)]);
                return None;
            }
        };
        let value = self.emit(at, Op::Const(elem, literal), &[])?;
        if let Literal::Int(i) = literal {
            self.known.insert(value, i);
        }
        Some(value)
    }

    /// Gives a value the user's name for it, if it has none.
    fn name(&mut self, value: &Value, name: &str) {
        match value {
            Value::Tensor(v) | Value::Fixed(v) | Value::Lane(v) => {
                let note = self.b.note(*v).clone();
                if note.name.is_none() {
                    self.b.set_note(*v, Note { name: Some(name.into()), ..note });
                }
            }
            Value::Option(inner, _) => self.name(inner, name),
            Value::Number(_) | Value::Tuple(_) | Value::Struct(_) | Value::Lengths(_) | Value::Axis(_) => {}
            Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => {}
        }
    }

    /// A value as a user would say it, with its article.
    fn describe(&self, value: &Value) -> String {
        match value {
            Value::Tensor(v) => describe_type(self.b.ty(*v)),
            Value::Lane(v) => describe_type(&Type::scalar(self.b.ty(*v).elem)),
            Value::Number(Number::Float(..)) if matches!(self.default_float, Elem::Generic(_)) => "an `f64`".to_owned(),
            Value::Number(Number::Float(..)) => format!("an `{}`", self.default_float),
            Value::Number(Number::Int(_)) => "an integer".to_owned(),
            Value::Fixed(v) => self.describe_fixed(*v),
            Value::Tuple(parts) => format!("a tuple of {}", parts.len()),
            Value::Struct(fields) => format!("a `{}`", text(&fields.form.path)),
            Value::Option(..) => "an `Option`".to_owned(),
            Value::Lengths(_) => "a shape".to_owned(),
            Value::Axis(_) => "an axis".to_owned(),
            Value::Iter(iter) if iter.is_zip => "a `Zip`".to_owned(),
            Value::Iter(_) => "an iterator".to_owned(),
            Value::Closure(_) => "a closure".to_owned(),
            Value::Unit => "nothing".to_owned(),
            Value::Poison => "an expression with an error".to_owned(),
        }
    }

    fn error(&mut self, at: &dyn ToTokens, message: Message, particulars: &[&str]) {
        self.diags.error(at.to_token_stream(), message, particulars);
    }

    /// Reports code that is only there under a condition, which the macro cannot decide.
    fn refuse_conditional<'s>(&mut self, visit: impl FnOnce(&mut Conditional<'s>)) {
        let mut found = Conditional(Vec::new());
        visit(&mut found);
        for attr in found.0 {
            self.error(attr, messages::CONDITIONAL_CODE, &[&text(attr.path())]);
        }
    }

    /// Reports an error and gives the value that silences what follows from it.
    fn fail(&mut self, at: &dyn ToTokens, message: Message, particulars: &[&str]) -> Value {
        self.error(at, message, particulars);
        Value::Poison
    }
}

/// The attributes that rustc decides on after the macro has run.
struct Conditional<'a>(Vec<&'a syn::Attribute>);

impl<'a> Visit<'a> for Conditional<'a> {
    fn visit_attribute(&mut self, attr: &'a syn::Attribute) {
        if attr.path().is_ident("cfg") || attr.path().is_ident("cfg_attr") {
            self.0.push(attr);
        }
    }
}

/// A form as a user would say it, with its article.
fn describe_form(form: &Form) -> String {
    match form {
        Form::Scalar(Elem::Bool | Elem::Usize) | Form::Fixed { .. } | Form::Tuple(_) | Form::Struct(_) => format!("a `{form}`"),
        Form::Scalar(_) | Form::Array { .. } => format!("an `{form}`"),
    }
}

/// The user's tokens as text.
fn text(at: &dyn ToTokens) -> String {
    source_text(at.to_token_stream())
}

/// The place of an expression: on stable Rust, its first token.
fn span_of(at: &dyn ToTokens) -> Span {
    at.to_token_stream().span()
}

/// The note on what is computed on the way to the value of an expression.
fn part_of(at: &dyn ToTokens) -> Note {
    Note::of_source(&text(at), span_of(at)).part()
}

/// The tokens of the value that a function gives back, for messages about it.
fn tail_of(item: &syn::ItemFn) -> proc_macro2::TokenStream {
    match item.block.stmts.last() {
        Some(syn::Stmt::Expr(syn::Expr::Return(ret), _)) if ret.expr.is_some() => ret.expr.to_token_stream(),
        Some(syn::Stmt::Expr(tail, None)) => tail.to_token_stream(),
        Some(_) | None => item.sig.output.to_token_stream(),
    }
}
