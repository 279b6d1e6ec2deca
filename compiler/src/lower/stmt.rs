//! Statements: blocks, `let`, assignment.

use syn::ext::IdentExt;
use syn::visit::Visit;

use super::operators::Operand;
use super::value::Value;
use super::{Lowering, describe_form, text};
use crate::diagnostics::{Diagnostics, messages};
use crate::ir::{Elem, Type};
use crate::syntax::Form;
use crate::syntax::form::parse_form;
use crate::syntax::items::Found;

impl Lowering<'_> {
    /// A block as an expression.
    pub(super) fn block(&mut self, block: &syn::Block) -> Value {
        self.block_at(block, false)
    }

    /// One statement; its value, if it has no semicolon.
    pub(super) fn statement(&mut self, stmt: &syn::Stmt) -> Value {
        match stmt {
            syn::Stmt::Local(local) => {
                self.local(local);
                Value::Unit
            }
            syn::Stmt::Expr(e, None) => self.expr(e),
            syn::Stmt::Expr(e, Some(_)) => {
                self.expr(e);
                Value::Unit
            }
            syn::Stmt::Macro(m) => {
                let value = self.macro_call(&m.mac);
                if m.semi_token.is_some() { Value::Unit } else { value }
            }
            syn::Stmt::Item(item) => {
                self.item(item);
                Value::Unit
            }
        }
    }

    /// An item inside a function: constants are values, and imports only bring in what the compiler knows by the same name.
    fn item(&mut self, item: &syn::Item) {
        match item {
            syn::Item::Use(import) if is_transparent(&import.tree) => {}
            syn::Item::Use(import) => {
                let help = "move it out of the function, where the macro can check what the names in it mean";
                self.error(import, messages::UNSUPPORTED_STATEMENT, &["this `use`", help]);
            }
            syn::Item::Const(c) => {
                let value = self.const_item(Found { item: c, id: &c.ident.to_string(), place: self.place, foreign: false });
                self.scope.bind(c.ident.unraw().to_string(), value);
            }
            other => {
                let help = "move it out of the function";
                self.error(other, messages::UNSUPPORTED_STATEMENT, &["an item of this kind", help]);
            }
        }
    }

    fn local(&mut self, local: &syn::Local) {
        let (pat, annotation) = match &local.pat {
            syn::Pat::Type(typed) => (&*typed.pat, Some(&*typed.ty)),
            pat => (pat, None),
        };
        let Some(init) = &local.init else {
            let shown = text(pat);
            self.error(local, messages::LET_WITHOUT_VALUE, &[&shown]);
            self.bind(pat, Value::Poison);
            return;
        };
        if let Some((else_token, _)) = &init.diverge {
            let help = "bind plain names, and write `.unwrap()` for the `Option` that `mean` gives";
            self.error(else_token, messages::UNSUPPORTED_STATEMENT, &["`let … else`", help]);
            self.expr(&init.expr);
            self.poison(&local.pat);
            return;
        }
        if let Some(name) = super::assign::name_of(pat)
            && self.is_view(&init.expr)
        {
            match self.assignable(&init.expr) {
                Some(place) => self.bind_view(name, place),
                None => self.poison(pat),
            }
            return;
        }
        let form = annotation.and_then(|ty| self.annotation(ty));
        let mut value = match &form {
            Some(Form::Fixed { .. }) => self.expr_expecting(&init.expr, form.as_ref()),
            _ => self.expr_of_type(&init.expr, annotation),
        };
        if let Some(form) = form {
            value = self.annotated(value, &form, pat, &init.expr);
        }
        self.bind(pat, value);
    }

    /// What a `let` annotation or a `const` says of its type; `None` where it says nothing that the compiler can read, which rustc then checks.
    pub(super) fn annotation(&mut self, ty: &syn::Type) -> Option<Form> {
        let mut unheard = Diagnostics::new();
        let form = parse_form(ty, &self.type_names(), &mut unheard);
        let _ = unheard.finish();
        form
    }

    /// The value of a `let` with an annotation, which gives literals their type and must agree with everything else.
    fn annotated(&mut self, value: Value, form: &Form, pat: &syn::Pat, init: &syn::Expr) -> Value {
        if value.is_poisoned() {
            return Value::Poison;
        }
        match &value {
            Value::Number(n) => match form {
                Form::Scalar(elem) => return self.constant(*n, *elem, init).map_or(Value::Poison, Value::Tensor),
                Form::Array { .. } | Form::Fixed { .. } | Form::Tuple(_) | Form::Struct(_) => {}
            },
            Value::Tuple(_) | Value::Struct(_) | Value::Fixed(_) | Value::Option(..) => {
                return self.conform(value, form, init).unwrap_or(Value::Poison);
            }
            Value::Tensor(v) => {
                let ty = self.b.ty(*v);
                let fits = |elem: &Elem, rank: usize| (*elem, rank) == (ty.elem, ty.rank());
                if match form {
                    Form::Scalar(elem) => fits(elem, 0),
                    Form::Array { elem, rank, .. } => fits(elem, *rank),
                    Form::Fixed { .. } | Form::Tuple(_) | Form::Struct(_) => false,
                } {
                    self.counters.is_usize(*v);
                    return value;
                }
            }
            Value::Lane(v) => {
                if *form == Form::Scalar(self.b.ty(*v).elem) {
                    return value;
                }
            }
            Value::Lengths(_) | Value::Axis(_) | Value::Iter(_) | Value::Closure(_) | Value::Unit | Value::Poison => {}
        }
        let found = self.describe(&value);
        self.fail(init, messages::ANNOTATION, &[&text(pat), &describe_form(form), &found])
    }

    /// Binds all names in a pattern that has been reported, so that what uses them is silent.
    pub(super) fn poison(&mut self, pat: &syn::Pat) {
        struct Names(Vec<String>);
        impl<'ast> Visit<'ast> for Names {
            fn visit_pat_ident(&mut self, pat: &'ast syn::PatIdent) {
                self.0.push(pat.ident.unraw().to_string());
                syn::visit::visit_pat_ident(self, pat);
            }
        }
        let mut names = Names(Vec::new());
        names.visit_pat(pat);
        for name in names.0 {
            self.scope.bind(name, Value::Poison);
        }
    }

    /// Binds the names of a pattern.
    pub(super) fn bind(&mut self, pat: &syn::Pat, value: Value) {
        match pat {
            syn::Pat::Ident(p) if p.subpat.is_none() && p.by_ref.is_none() => {
                let name = p.ident.unraw().to_string();
                self.name(&value, &name);
                self.scope.bind(name, value);
            }
            syn::Pat::Wild(_) => {}
            syn::Pat::Paren(p) => self.bind(&p.pat, value),
            syn::Pat::Reference(p) => self.bind(&p.pat, value),
            syn::Pat::Type(p) => self.bind(&p.pat, value),
            syn::Pat::Tuple(tuple) => {
                let parts = match value {
                    Value::Tuple(parts) if parts.len() == tuple.elems.len() => parts,
                    Value::Poison => vec![Value::Poison; tuple.elems.len()],
                    other => {
                        let found = self.describe(&other);
                        let expected = format!("a tuple of {}", tuple.elems.len());
                        self.error(pat, messages::EXPECTED_KIND, &[&expected, &found, "write one name for each part"]);
                        vec![Value::Poison; tuple.elems.len()]
                    }
                };
                for (pat, part) in tuple.elems.iter().zip(parts) {
                    self.bind(pat, part);
                }
            }
            syn::Pat::Struct(p) => {
                let parts: Vec<(syn::Member, &syn::Pat)> = p.fields.iter().map(|f| (f.member.clone(), &*f.pat)).collect();
                self.bind_struct(pat, &p.path, &parts, &value);
            }
            syn::Pat::TupleStruct(p) if !p.elems.iter().any(|e| matches!(e, syn::Pat::Rest(_))) => {
                let parts: Vec<(syn::Member, &syn::Pat)> = p.elems.iter().enumerate().map(|(k, pat)| (syn::Member::from(k), pat)).collect();
                self.bind_struct(pat, &p.path, &parts, &value);
            }
            other => {
                self.error(other, messages::UNSUPPORTED_PATTERN, &[&text(other)]);
                self.poison(other);
            }
        }
    }

    /// `x = e`
    pub(super) fn assign(&mut self, assign: &syn::ExprAssign) -> Value {
        let value = self.expr(&assign.right);
        if matches!(&*assign.left, syn::Expr::Infer(_)) {
            return Value::Unit;
        }
        if let Some(place) = self.field_place(&assign.left) {
            let old = self.value_at(&place);
            let value = self.taking_type_of(value, &old, &assign.right);
            self.assign_field(&place, value);
            return Value::Unit;
        }
        if self.is_part(&assign.left) {
            self.assign_part(&assign.left, value, &assign.right);
            return Value::Unit;
        }
        let Some(position) = self.place(&assign.left) else { return Value::Unit };
        let old = self.scope.at(position).value.clone();
        let value = self.taking_type_of(value, &old, &assign.right);
        self.assign_to(position, value);
        Value::Unit
    }

    /// A literal takes the type of what it replaces.
    fn taking_type_of(&mut self, value: Value, old: &Value, at: &syn::Expr) -> Value {
        match (&value, self.elem_of(old)) {
            (Value::Number(n), Some(elem)) => Operand::wrap(self.constant(*n, elem, at), false),
            _ => value,
        }
    }

    /// Gives the variable at a position a new value.
    pub(super) fn assign_to(&mut self, position: usize, value: Value) {
        let name = self.scope.at(position).name.clone();
        self.name(&value, name.trim_start());
        self.scope.assign(position, value);
    }

    /// The variable that an assignment changes.
    pub(super) fn place(&mut self, left: &syn::Expr) -> Option<usize> {
        let mut e = left;
        loop {
            e = match e {
                syn::Expr::Paren(p) => &p.expr,
                syn::Expr::Group(p) => &p.expr,
                syn::Expr::Unary(syn::ExprUnary { op: syn::UnOp::Deref(_), expr, .. }) => expr,
                _ => break,
            };
        }
        let name = match e {
            syn::Expr::Path(path) => path.path.get_ident().map(|i| i.unraw().to_string()),
            _ => None,
        };
        let Some(name) = name else {
            self.error(left, messages::ASSIGN_TO_PLACE, &[&text(left)]);
            return None;
        };
        let Some(position) = self.scope.position(&name) else {
            self.error(left, messages::UNKNOWN_NAME, &[&name]);
            return None;
        };
        if self.closure.as_ref().is_some_and(|c| position < c.mark) {
            let help = "make the value from the elements alone, and reduce the array outside, for example with `.sum()`";
            self.error(left, messages::UNSUPPORTED_STATEMENT, &["an assignment to a variable outside of the closure", help]);
            return None;
        }
        Some(position)
    }

    /// A condition: one truth value, or one per element inside of a closure.
    pub(super) fn condition(&mut self, e: &syn::Expr) -> Option<Operand> {
        match self.expr(e) {
            Value::Tensor(v) if *self.b.ty(v) == Type::scalar(Elem::Bool) => Some(Operand { value: v, lane: false }),
            Value::Lane(v) if self.b.ty(v).elem == Elem::Bool => Some(Operand { value: v, lane: true }),
            Value::Poison => None,
            other => {
                let found = self.describe(&other);
                self.error(e, messages::CONDITION, &[&found]);
                None
            }
        }
    }
}

/// Whether a `use` imports from the crates that the compiler knows, each name under its own name.
fn is_transparent(tree: &syn::UseTree) -> bool {
    fn renames(tree: &syn::UseTree) -> bool {
        match tree {
            syn::UseTree::Path(path) => renames(&path.tree),
            syn::UseTree::Rename(rename) => rename.rename != "_",
            syn::UseTree::Group(group) => group.items.iter().any(renames),
            syn::UseTree::Name(_) | syn::UseTree::Glob(_) => false,
        }
    }
    let known = matches!(tree, syn::UseTree::Path(path) if ["std", "core", "ndarray", "bilevel"].iter().any(|known| path.ident == known));
    known && !renames(tree)
}
