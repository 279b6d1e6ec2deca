//! What names in types stand for: the structs of a module, and the lengths that its constants and a function's constant parameters give.

use std::rc::Rc;

use syn::visit::Visit;

use super::form::{Form, Length, StructForm, elem_named, parse_form};
use super::generics::{TypeArguments, open_parameters};
use super::items::{Found, Items, Place, path_key};
use super::params::refuse_generics;
use super::source_text;
use crate::diagnostics::{Diagnostics, messages};
use crate::ir::Elem;

/// How deep constants may refer to each other, so that a circle ends.
const MAX_CONSTANTS: usize = 50;

/// What names in types stand for where a signature is read.
#[derive(Clone, Debug)]
pub struct TypeNames<'a> {
    items: &'a Items,
    place: Place,
    const_params: Vec<syn::Ident>,
    types: TypeArguments,
    /// The structs whose fields are being read, outermost first.
    open: Vec<&'a str>,
}

impl<'a> TypeNames<'a> {
    /// The names in tokens that stand at a place.
    pub fn new(items: &'a Items, place: Place) -> Self {
        TypeNames { items, place, const_params: Vec::new(), types: TypeArguments::new(), open: Vec::new() }
    }

    /// The names in a function with these generic parameters, of which those of types stand for `types`.
    #[must_use]
    pub fn within(mut self, generics: &syn::Generics, types: &TypeArguments) -> Self {
        self.const_params = generics.const_params().map(|p| p.ident.clone()).collect();
        self.types = types.clone();
        self
    }

    /// The element type of that name.
    pub fn elem(&self, name: &str) -> Option<Elem> {
        self.types.get(name).copied().or_else(|| elem_named(name))
    }

    /// The struct that a path names; `None` if its tokens are not at hand. The inner `None` is a struct that the compiler does not take, with an error.
    pub fn struct_of(&self, path: &syn::Path, diags: &mut Diagnostics) -> Option<Option<Rc<StructForm>>> {
        self.struct_with(path, &TypeArguments::new(), diags)
    }

    /// [`struct_of`](Self::struct_of), where `types` is what type parameters stand for that the path leaves open.
    pub fn struct_with(&self, path: &syn::Path, types: &TypeArguments, diags: &mut Diagnostics) -> Option<Option<Rc<StructForm>>> {
        // A type parameter hides what has its name.
        if path.get_ident().is_some_and(|name| self.types.contains_key(&name.to_string())) {
            return None;
        }
        let found = self.items.structure(self.place, &path_key(path)?)?;
        Some(self.read_struct(path, types, found, diags))
    }

    /// Asks for the tokens of a struct, which its carrier may have; whether it was asked for the first time.
    pub fn ask(&self, path: &syn::Path, diags: &mut Diagnostics) -> bool {
        let missing = path_key(path).is_some_and(|key| self.place.is_here() && !self.items.has_answer(&key));
        if missing {
            diags.ask(path);
        }
        missing
    }

    fn read_struct(
        &self,
        path: &syn::Path,
        types: &TypeArguments,
        found: Found<'a, syn::ItemStruct>,
        diags: &mut Diagnostics,
    ) -> Option<Rc<StructForm>> {
        let item = found.item;
        let name = item.ident.to_string();
        // A carrier stands beside what derives `Params` and nothing else; its tokens lack the attribute.
        if found.place.is_here() && !derives_params(item) {
            diags.error(path, messages::STRUCT_WITHOUT_PARAMS, &[&source_text(path)]);
            return None;
        }
        if self.open.contains(&found.id) {
            diags.error(&item.ident, messages::RECURSIVE_STRUCT, &[&name]);
            return None;
        }
        let before = diags.n_errors();
        refuse_generics(item, diags);
        if diags.n_errors() > before {
            return None;
        }
        let types = self.struct_types(path, types, &item.generics);
        let mut names = TypeNames::new(self.items, found.place).within(&item.generics, &types);
        names.open = self.open.iter().copied().chain([found.id]).collect();
        let mut fields = Vec::new();
        for (member, field) in item.fields.members().zip(&item.fields) {
            fields.push(owned_form(&member, &field.ty, &names, diags).map(|form| (member, form)));
        }
        let fields = fields.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Rc::new(StructForm { path: path.clone(), types, fields }))
    }

    /// What the type parameters of a struct stand for: what stands in the path, `Net<f64>`, else what is known, else themselves.
    fn struct_types(&self, path: &syn::Path, known: &TypeArguments, generics: &syn::Generics) -> TypeArguments {
        let written = match path.segments.last().map(|s| &s.arguments) {
            Some(syn::PathArguments::AngleBracketed(args)) => args.args.iter().collect(),
            _ => Vec::new(),
        };
        let mut written = written.into_iter().filter_map(|arg| match arg {
            syn::GenericArgument::Type(ty) => Some(ty),
            _ => None,
        });
        let mut types = open_parameters(generics);
        for param in generics.type_params() {
            let name = param.ident.to_string();
            let elem = match written.next() {
                Some(syn::Type::Path(ty)) => ty.path.segments.last().and_then(|s| self.elem(&s.ident.to_string())),
                Some(_) | None => known.get(&name).copied(),
            };
            if let Some(elem) = elem {
                types.insert(name, elem);
            }
        }
        types
    }

    /// The length of a fixed array.
    pub fn length(&self, length: &syn::Expr, diags: &mut Diagnostics) -> Option<Length> {
        let mut e = length;
        loop {
            e = match e {
                syn::Expr::Paren(p) => &p.expr,
                syn::Expr::Group(p) => &p.expr,
                syn::Expr::Block(b) => match &b.block.stmts[..] {
                    [syn::Stmt::Expr(e, None)] => e,
                    _ => break,
                },
                _ => break,
            };
        }
        if let syn::Expr::Path(path) = e
            && let Some(param) = self.const_params.iter().find(|p| path.path.is_ident(*p))
        {
            return Some(Length::Named(param.clone()));
        }
        match self.integer(e, 0).and_then(|n| u64::try_from(n).ok()) {
            Some(n) => Some(Length::Known(n)),
            None => {
                diags.error(length, messages::FIXED_LENGTH, &[&source_text(length)]);
                None
            }
        }
    }

    /// The value of an expression of integers and constants of the module.
    fn integer(&self, e: &syn::Expr, depth: usize) -> Option<i64> {
        if depth > MAX_CONSTANTS {
            return None;
        }
        match e {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(n), .. }) => n.base10_parse().ok(),
            syn::Expr::Paren(p) => self.integer(&p.expr, depth),
            syn::Expr::Group(p) => self.integer(&p.expr, depth),
            syn::Expr::Path(path) => {
                let found = self.items.constant(self.place, &path_key(&path.path)?)?;
                TypeNames::new(self.items, found.place).integer(&found.item.expr, depth + 1)
            }
            syn::Expr::Binary(b) => {
                let (x, y) = (self.integer(&b.left, depth + 1)?, self.integer(&b.right, depth + 1)?);
                match b.op {
                    syn::BinOp::Add(_) => x.checked_add(y),
                    syn::BinOp::Sub(_) => x.checked_sub(y),
                    syn::BinOp::Mul(_) => x.checked_mul(y),
                    syn::BinOp::Div(_) => x.checked_div(y),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

/// The structs in the fields of a struct whose tokens are not at hand. What else there is to say of the fields is said where the struct is used.
pub fn missing_structs(item: &syn::ItemStruct, items: &Items) -> Vec<syn::Path> {
    let mut unheard = Diagnostics::new();
    for field in &item.fields {
        let names = TypeNames::new(items, Place::HERE).within(&item.generics, &open_parameters(&item.generics));
        let _ = parse_form(&field.ty, &names, &mut unheard);
    }
    let asked = unheard.asked().to_vec();
    let _ = unheard.finish();
    asked
}

/// The form of a field, which must own what it holds.
fn owned_form(member: &syn::Member, ty: &syn::Type, names: &TypeNames, diags: &mut Diagnostics) -> Option<Form> {
    if borrows(ty) {
        diags.error(ty, messages::BORROWED_FIELD, &[&source_text(member), &source_text(ty)]);
        return None;
    }
    parse_form(ty, names, diags)
}

/// Whether there is a reference or a view in a type.
pub(super) fn borrows(ty: &syn::Type) -> bool {
    struct Borrows(bool);
    impl<'ast> Visit<'ast> for Borrows {
        fn visit_type_reference(&mut self, _: &'ast syn::TypeReference) {
            self.0 = true;
        }

        fn visit_lifetime(&mut self, _: &'ast syn::Lifetime) {
            self.0 = true;
        }

        fn visit_path_segment(&mut self, segment: &'ast syn::PathSegment) {
            self.0 |= segment.ident.to_string().starts_with("ArrayView");
            syn::visit::visit_path_segment(self, segment);
        }
    }
    let mut found = Borrows(false);
    found.visit_type(ty);
    found.0
}

/// Whether a struct derives `Params`.
fn derives_params(item: &syn::ItemStruct) -> bool {
    item.attrs.iter().filter(|a| a.path().is_ident("derive")).any(|a| {
        let mut found = false;
        // What cannot be read is rustc's to report.
        let _ = a.parse_nested_meta(|meta| {
            found |= meta.path.segments.last().is_some_and(|s| s.ident == "Params");
            Ok(())
        });
        found
    })
}
