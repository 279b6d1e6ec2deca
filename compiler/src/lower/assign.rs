//! Statements that change arrays: assignments to parts, and methods and loops over elements that change their receiver.

use quote::ToTokens;
use syn::ext::IdentExt;

use super::places::Place;
use super::places_table::CHANGES;
use super::value::{Number, Value, describe_rank, describe_type};
use super::{Closure, Lowering, text};
use crate::diagnostics::messages;
use crate::ir::{Dim, Elementwise, Index, Pick, Shape, Type, ValueId, Window};

/// An array that an element-wise closure goes through: the pattern for an element, and where the element is stored if the closure changes it.
struct Through<'e> {
    pat: &'e syn::Pat,
    array: ValueId,
    place: Option<Place>,
    expr: &'e syn::Expr,
}

impl Lowering<'_> {
    /// `y[i] = e`
    pub(super) fn assign_part(&mut self, left: &syn::Expr, value: Value, right: &syn::Expr) -> Option<()> {
        let place = self.assignable(left)?;
        let ty = self.type_of(&place, left)?;
        let value = self.fitted(value, &ty, left, right)?;
        let whole = syn::Expr::Verbatim(quote::quote!(#left = #right));
        self.write_place(&place, value, &whole)
    }

    /// `y[i] += e` and its peers.
    pub(super) fn update_part(&mut self, e: &syn::Expr, left: &syn::Expr, op: Elementwise, value: Value, right: &syn::Expr) -> Option<()> {
        let place = self.assignable(left)?;
        self.update_place(e, &place, left, op, value, right)
    }

    fn update_place(
        &mut self,
        e: &syn::Expr,
        place: &Place,
        left: &syn::Expr,
        op: Elementwise,
        value: Value,
        right: &syn::Expr,
    ) -> Option<()> {
        let ty = self.type_of(place, left)?;
        let value = self.fitted(value, &ty, left, right)?;
        match op {
            Elementwise::Add if ty.elem.is_float() => self.add_to_place(place, value, e),
            // The same number: subtracting is adding the negative.
            Elementwise::Sub if ty.elem.is_float() => {
                let value = self.part(e, Elementwise::Neg, &[value])?;
                self.add_to_place(place, value, e)
            }
            _ => {
                let before = self.read_place(place, left)?;
                let after = self.part(e, op, &[before, value])?;
                self.write_place(place, after, e)
            }
        }
    }

    /// A value as an array of the type of what it is assigned to, repeated where it has fewer axes.
    fn fitted(&mut self, value: Value, ty: &Type, left: &syn::Expr, right: &syn::Expr) -> Option<ValueId> {
        let value = match value {
            Value::Number(n) => self.constant(n, ty.elem, right)?,
            // A row of a fixed array; that it is one on the left as well is rustc's to say.
            Value::Fixed(v) => v,
            value => self.operand(value, ty.elem, right)?.value,
        };
        let found = self.b.ty(value).clone();
        if found.elem != ty.elem {
            let particulars = [&text(left), ty.elem.name(), &text(right), found.elem.name()];
            self.error(right, messages::ELEMENT_MISMATCH, &particulars);
            return None;
        }
        if found.rank() > ty.rank() {
            let (a, b) = (describe_rank(ty.rank()), describe_rank(found.rank()));
            let whole = format!("{} = {}", text(left), text(right));
            let help = "the right side must fit into what it is assigned to";
            self.error(right, messages::RANK_MISMATCH, &[&text(left), &a, &text(right), &b, &whole, help]);
            return None;
        }
        let offset = ty.rank() - found.rank();
        for (k, &d) in found.dims.iter().enumerate() {
            if d != Dim::Const(1) && !self.unify(ty.dims[offset + k], d, right, left, right) {
                return None;
            }
        }
        let dims: Vec<Dim> = ty.dims.iter().map(|&d| self.b.current_dim(d)).collect();
        self.stretch(value, &dims, right)
    }

    /// A method that changes its receiver; `None` if the call is of another method.
    pub(super) fn changing_call(&mut self, call: &syn::ExprMethodCall) -> Option<Value> {
        let whole = syn::Expr::MethodCall(call.clone());
        let args: Vec<&syn::Expr> = call.args.iter().collect();
        let receiver = &*call.receiver;
        match (call.method.to_string().as_str(), &args[..]) {
            ("assign" | "fill", [arg]) => {
                let value = self.expr(arg);
                self.assign_part(receiver, value, arg);
            }
            ("scaled_add", [factor, arg]) => {
                let (a, x) = (self.expr(factor), self.expr(arg));
                let scaled = self.binary(&whole, Elementwise::Mul, (factor, a), (arg, x));
                self.update_part(&whole, receiver, Elementwise::Add, scaled, arg);
            }
            ("mapv_inplace", [f]) => {
                self.map_in_place(&whole, receiver, f);
            }
            ("map_inplace", [syn::Expr::Closure(f)]) if f.inputs.len() == 1 => {
                self.closure_over(&whole, None, vec![(&f.inputs[0], receiver, true)], &f.body);
            }
            ("zip_mut_with", [other, syn::Expr::Closure(f)]) if f.inputs.len() == 2 => {
                self.closure_over(&whole, None, vec![(&f.inputs[0], receiver, true), (&f.inputs[1], *other, false)], &f.body);
            }
            ("swap", [first, second]) => {
                self.swap(&whole, receiver, first, second);
            }
            ("swap_axes", [first, second]) => {
                self.swap_axes(&whole, receiver, first, second);
            }
            ("invert_axis", [axis]) => {
                self.invert_axis(&whole, receiver, axis);
            }
            ("accumulate_axis_inplace", [axis, syn::Expr::Closure(f)]) if f.inputs.len() == 2 => {
                self.accumulate(receiver, axis, f);
            }
            ("for_each", [syn::Expr::Closure(f)]) => {
                let arrays = zip_arguments(receiver).or_else(|| iterated(receiver, f.inputs.first()))?;
                if !arrays.iter().any(|(.., changes)| *changes) {
                    return None;
                }
                // The positions come first.
                let position = is_indexed(receiver).then(|| f.inputs.first()).flatten();
                let n_positions = usize::from(position.is_some());
                let through: Option<Vec<_>> = match &arrays[..] {
                    // The closure of a `Zip` takes each element as an argument, that of an iterator one pattern for all.
                    arrays if arrays.iter().all(|(pat, ..)| pat.is_none()) && arrays.len() + n_positions == f.inputs.len() => Some(
                        arrays.iter().zip(f.inputs.iter().skip(n_positions)).map(|(&(_, e, changes), pat)| (pat, e, changes)).collect(),
                    ),
                    arrays => arrays.iter().map(|&(pat, e, changes)| pat.map(|pat| (pat, e, changes))).collect(),
                };
                match through {
                    Some(through) => {
                        self.closure_over(&whole, position, through, &f.body);
                    }
                    None => return Some(self.fail(f, messages::UNSUPPORTED_PATTERN, &[&text(&f.inputs)])),
                }
            }
            _ => return None,
        }
        Some(Value::Unit)
    }

    /// `azip!((y in &mut y, &x in &x) *y += x)`; `None` if it changes nothing.
    pub(super) fn changing_azip(&mut self, mac: &syn::Macro) -> Option<Value> {
        let parsed: Azip = mac.parse_body().ok()?;
        if !parsed.arrays.iter().any(|(_, e)| is_mutable_array(e)) {
            return None;
        }
        let whole = syn::Expr::Verbatim(mac.to_token_stream());
        let through = parsed.arrays.iter().map(|(pat, e)| (pat, e, is_mutable_array(e))).collect();
        self.closure_over(&whole, parsed.position.as_ref(), through, &parsed.body);
        Some(Value::Unit)
    }

    /// `y.mapv_inplace(f)`
    fn map_in_place(&mut self, whole: &syn::Expr, receiver: &syn::Expr, f: &syn::Expr) -> Option<()> {
        let place = self.assignable(receiver)?;
        let x = self.read_place(&place, receiver)?;
        let dims = self.b.ty(x).dims.clone();
        if dims.is_empty() || self.closure.is_some() {
            self.error(receiver, messages::METHOD_ON_NUMBER, &["mapv_inplace", &text(receiver), "a number"]);
            return None;
        }
        self.closure = Some(Closure { dims: dims.clone(), mark: self.scope.mark(), reached: None });
        let value = self.apply(f, vec![Value::Lane(x)], &[receiver]);
        self.closure = None;
        self.store(whole, &place, x, value, f)
    }

    /// Stores one number per element at a place.
    fn store(&mut self, whole: &syn::Expr, place: &Place, old: ValueId, value: Value, at: &syn::Expr) -> Option<()> {
        let ty = self.b.ty(old).clone();
        let value = self.operand(value, ty.elem, at)?;
        let found = self.b.ty(value.value).clone();
        if found.elem != ty.elem || (!value.lane && found.rank() > 0) {
            let found = describe_type(&if value.lane { Type::scalar(found.elem) } else { found });
            let expected = describe_type(&Type::scalar(ty.elem));
            self.error(at, messages::EXPECTED_KIND, &[&expected, &found, "give the elements the type that they had"]);
            return None;
        }
        let value = self.spread(value, &ty.dims, at)?;
        self.write_place(place, value, whole)
    }

    /// A closure that goes through arrays of one shape and changes elements of some of them. Each array is given with the pattern of its element and
    /// whether it is changed; `position` is the pattern for where they stand.
    fn closure_over(
        &mut self,
        whole: &syn::Expr,
        position: Option<&syn::Pat>,
        arrays: Vec<(&syn::Pat, &syn::Expr, bool)>,
        body: &syn::Expr,
    ) -> Option<()> {
        if self.closure.is_some() {
            self.error(whole, messages::ELEMENT_LOOP, &[]);
            return None;
        }
        let mut through = Vec::new();
        for (pat, expr, changes) in arrays {
            let inner = strip_iterator(expr);
            let place = if changes { Some(self.assignable(inner)?) } else { None };
            let array = match &place {
                Some(place) => self.read_place(place, inner)?,
                None => match self.expr(inner) {
                    Value::Tensor(x) => x,
                    Value::Poison => return None,
                    other => {
                        let found = self.describe(&other);
                        self.error(inner, messages::EXPECTED_KIND, &["an array", &found, "write a `for` loop"]);
                        return None;
                    }
                },
            };
            through.push(Through { pat, array, place, expr: inner });
        }
        let first = through.first()?;
        let (first_array, first_expr) = (first.array, first.expr);
        if self.b.ty(first_array).rank() == 0 {
            self.error(first_expr, messages::METHOD_ON_NUMBER, &["for_each", &text(first_expr), "a number"]);
            return None;
        }
        for other in &through[1..] {
            let (x, y) = (self.b.ty(first_array).dims.clone(), self.b.ty(other.array).dims.clone());
            if x.len() != y.len() {
                let (m, n) = (describe_rank(x.len()), describe_rank(y.len()));
                let help = "go through arrays of one shape";
                let particulars = [&text(first_expr), &m, &text(other.expr), &n, &text(whole), help];
                self.error(other.expr, messages::RANK_MISMATCH, &particulars);
                return None;
            }
            for (&a, &b) in x.iter().zip(&y) {
                if !self.unify(a, b, whole, first_expr, other.expr) {
                    return None;
                }
            }
        }
        let dims: Vec<Dim> = self.b.ty(first_array).dims.iter().map(|&d| self.b.current_dim(d)).collect();
        let positions = match position {
            Some(pat) => Some((pat, self.positions(&dims, whole)?)),
            None => None,
        };
        let mark = self.scope.mark();
        self.closure = Some(Closure { dims, mark, reached: None });
        if let Some((pat, positions)) = positions {
            self.bind(pat, positions);
        }
        let mut changed = Vec::new();
        for t in &through {
            if t.place.is_some() {
                let Some(name) = name_of(t.pat) else {
                    self.error(t.pat, messages::UNSUPPORTED_PATTERN, &[&text(t.pat)]);
                    self.closure = None;
                    self.scope.cut(mark);
                    return None;
                };
                changed.push(self.scope.mark());
                self.scope.bind(name.unraw().to_string(), Value::Lane(t.array));
            } else {
                self.bind(t.pat, Value::Lane(t.array));
            }
        }
        self.returning(|this| this.tail_expr(body));
        let values: Vec<Value> = changed.iter().map(|&k| self.scope.at(k).value.clone()).collect();
        self.closure = None;
        self.scope.cut(mark);
        for (t, value) in through.iter().filter(|t| t.place.is_some()).zip(values) {
            if let Some(place) = &t.place {
                self.store(whole, place, t.array, value, body)?;
            }
        }
        Some(())
    }

    /// `y.swap_axes(j, k)`
    fn swap_axes(&mut self, whole: &syn::Expr, receiver: &syn::Expr, first: &syn::Expr, second: &syn::Expr) -> Option<()> {
        let (place, x) = self.whole_array(receiver)?;
        let rank = self.b.ty(x).rank();
        let mut perm: Vec<usize> = (0..rank).collect();
        let axis = |this: &mut Self, e: &syn::Expr| match this.expr(e) {
            Value::Number(Number::Int(k)) if usize::try_from(k).is_ok_and(|k| k < rank) => Some(k as usize),
            Value::Number(Number::Int(k)) => {
                this.error(e, messages::AXIS_OUT_OF_RANGE, &[&text(receiver), &describe_rank(rank), &k.to_string()]);
                None
            }
            Value::Poison => None,
            _ => {
                this.error(e, messages::AXIS_NOT_LITERAL, &[]);
                None
            }
        };
        let (j, k) = (axis(self, first)?, axis(self, second)?);
        perm.swap(j, k);
        let swapped = self.emit(whole, Shape::Permute { perm }, &[x])?;
        self.write_place(&place, swapped, whole)
    }

    /// `y.invert_axis(Axis(k))`
    fn invert_axis(&mut self, whole: &syn::Expr, receiver: &syn::Expr, axis: &syn::Expr) -> Option<()> {
        let (place, x) = self.whole_array(receiver)?;
        let k = self.axis(axis)?;
        let Some(&len) = self.b.ty(x).dims.get(k) else {
            let rank = describe_rank(self.b.ty(x).rank());
            self.error(axis, messages::AXIS_OUT_OF_RANGE, &[&text(receiver), &rank, &k.to_string()]);
            return None;
        };
        let (n, one) = (self.number_of_turns(len, whole)?, self.usize_constant(1, whole)?);
        let n = self.part(whole, Elementwise::Max, &[n, one])?;
        let last = self.part(whole, Elementwise::Sub, &[n, one])?;
        let window = Window { axes: vec![(k, Pick::Slice { step: -1, len })] };
        let inverted = self.emit(whole, Index::Read(window), &[x, last])?;
        self.write_place(&place, inverted, whole)
    }

    /// An array that a variable stands for, and not a view of it, whose axes are its own.
    fn whole_array(&mut self, receiver: &syn::Expr) -> Option<(Place, ValueId)> {
        let place = self.assignable(receiver)?;
        if !place.is_whole() {
            self.error(receiver, messages::ASSIGN_TO_PLACE, &[&text(receiver)]);
            return None;
        }
        let x = self.read_place(&place, receiver)?;
        Some((place, x))
    }

    /// `y.accumulate_axis_inplace(Axis(k), |&before, y| *y += before)`: a loop along the axis, as in `ndarray`.
    fn accumulate(&mut self, receiver: &syn::Expr, axis: &syn::Expr, f: &syn::ExprClosure) -> Option<()> {
        let (place, _) = self.whole_array(receiver)?;
        let rank = self.type_of(&place, receiver)?.rank();
        let (before, current, body) = (&f.inputs[0], &f.inputs[1], &f.body);
        let turn: syn::Expr = match rank {
            1 => syn::parse_quote!(for __k in 1..#receiver.len() {
                let #before = &#receiver[__k - 1];
                let #current = &mut #receiver[__k];
                #body;
            }),
            _ => syn::parse_quote!(for __k in 1..#receiver.len_of(#axis) {
                Zip::from(#receiver.index_axis_mut(#axis, __k)).and(&#receiver.index_axis(#axis, __k - 1)).for_each(|#current, #before| #body);
            }),
        };
        if rank == 1 && self.axis(axis)? > 0 {
            self.error(axis, messages::AXIS_OUT_OF_RANGE, &[&text(receiver), &describe_rank(rank), &text(axis)]);
            return None;
        }
        self.expr(&turn);
        Some(())
    }

    /// `y.swap(i, j)`
    fn swap(&mut self, whole: &syn::Expr, receiver: &syn::Expr, first: &syn::Expr, second: &syn::Expr) -> Option<()> {
        let element = |position: &syn::Expr| -> syn::Expr { syn::parse_quote!(#receiver[#position]) };
        let (a, b) = (self.assignable(&element(first))?, self.assignable(&element(second))?);
        let (x, y) = (self.read_place(&a, whole)?, self.read_place(&b, whole)?);
        self.write_place(&a, y, whole)?;
        self.write_place(&b, x, whole)
    }
}

/// The arrays of `Zip::from(&mut a).and(&b)`, each with whether it is changed.
fn zip_arguments(e: &syn::Expr) -> Option<Vec<(Option<&syn::Pat>, &syn::Expr, bool)>> {
    match e {
        syn::Expr::Paren(p) => zip_arguments(&p.expr),
        syn::Expr::Call(call) => {
            let syn::Expr::Path(path) = &*call.func else { return None };
            let names: Vec<String> = path.path.segments.iter().map(|s| s.ident.to_string()).collect();
            match (&names[..], call.args.first()) {
                ([.., zip, from], Some(arg)) if zip == "Zip" && (from == "from" || from == "indexed") => {
                    Some(vec![(None, arg, is_mutable_array(arg))])
                }
                _ => None,
            }
        }
        syn::Expr::MethodCall(call) if call.method == "and" => {
            let mut arrays = zip_arguments(&call.receiver)?;
            let arg = call.args.first()?;
            arrays.push((None, arg, is_mutable_array(arg)));
            Some(arrays)
        }
        _ => None,
    }
}

/// Whether a `Zip` gives the positions of the elements too.
fn is_indexed(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Paren(p) => is_indexed(&p.expr),
        syn::Expr::Call(call) => {
            matches!(&*call.func, syn::Expr::Path(path) if path.path.segments.last().is_some_and(|s| s.ident == "indexed"))
        }
        syn::Expr::MethodCall(call) => is_indexed(&call.receiver),
        _ => false,
    }
}

/// The arrays of `a.iter_mut().zip(&b)`, each with the part of the closure's pattern that is its element.
fn iterated<'e>(e: &'e syn::Expr, pat: Option<&'e syn::Pat>) -> Option<Vec<(Option<&'e syn::Pat>, &'e syn::Expr, bool)>> {
    match e {
        syn::Expr::Paren(p) => iterated(&p.expr, pat),
        syn::Expr::MethodCall(call) if call.method == "zip" && call.args.len() == 1 => {
            let (left, right) = match pat {
                Some(syn::Pat::Tuple(tuple)) if tuple.elems.len() == 2 => (Some(&tuple.elems[0]), Some(&tuple.elems[1])),
                _ => (None, None),
            };
            let mut arrays = iterated(&call.receiver, left)?;
            arrays.extend(iterated(&call.args[0], right)?);
            Some(arrays)
        }
        syn::Expr::MethodCall(call) if call.method == "iter_mut" || call.method == "iter" => {
            Some(vec![(pat, e, call.method == "iter_mut")])
        }
        syn::Expr::Reference(r) => Some(vec![(pat, e, r.mutability.is_some())]),
        syn::Expr::Path(_) => Some(vec![(pat, e, false)]),
        _ => None,
    }
}

/// Whether an argument of `Zip` is changed.
fn is_mutable_array(e: &syn::Expr) -> bool {
    match e {
        syn::Expr::Reference(r) => r.mutability.is_some(),
        syn::Expr::MethodCall(call) => super::places::is_mutable_view(&call.method),
        _ => false,
    }
}

/// The array behind `&mut y` and `y.iter_mut()`.
fn strip_iterator(e: &syn::Expr) -> &syn::Expr {
    match e {
        syn::Expr::Paren(p) => strip_iterator(&p.expr),
        syn::Expr::Reference(r) => strip_iterator(&r.expr),
        syn::Expr::MethodCall(call) if call.method == "iter_mut" || call.method == "iter" => &call.receiver,
        _ => e,
    }
}

/// The name in a pattern for an element that is changed.
pub(super) fn name_of(pat: &syn::Pat) -> Option<&syn::Ident> {
    match pat {
        syn::Pat::Ident(p) if p.subpat.is_none() => Some(&p.ident),
        syn::Pat::Paren(p) => name_of(&p.pat),
        syn::Pat::Type(p) => name_of(&p.pat),
        _ => None,
    }
}

/// Whether a method changes its receiver.
pub(super) fn changes_receiver(method: &syn::Ident) -> bool {
    let name = method.to_string();
    // `for_each` says nothing by itself: it changes what goes through it by `iter_mut`.
    name != "for_each" && CHANGES.iter().any(|(change, _)| *change == name) || name.ends_with("_mut")
}

/// The variables whose elements `azip!` changes.
pub(super) fn changed_by_azip(mac: &syn::Macro) -> Vec<String> {
    fn root(e: &syn::Expr) -> Option<String> {
        match e {
            syn::Expr::Reference(r) => root(&r.expr),
            syn::Expr::MethodCall(call) => root(&call.receiver),
            syn::Expr::Path(path) => path.path.get_ident().map(|name| name.unraw().to_string()),
            _ => None,
        }
    }
    if mac.path.segments.last().is_none_or(|segment| segment.ident != "azip") {
        return Vec::new();
    }
    let Ok(parsed) = mac.parse_body::<Azip>() else { return Vec::new() };
    parsed.arrays.iter().filter(|(_, e)| is_mutable_array(e)).filter_map(|(_, e)| root(e)).collect()
}

/// What stands between the parentheses of `azip!`.
struct Azip {
    /// The pattern after `index`.
    position: Option<syn::Pat>,
    arrays: Vec<(syn::Pat, syn::Expr)>,
    body: syn::Expr,
}

impl syn::parse::Parse for Azip {
    fn parse(input: syn::parse::ParseStream<'_>) -> syn::Result<Self> {
        let inside;
        syn::parenthesized!(inside in input);
        let mut arrays = Vec::new();
        let names_position = inside.peek(syn::Ident) && !inside.peek2(syn::Token![in]) && inside.fork().parse::<syn::Ident>()? == "index";
        let position = if names_position {
            inside.parse::<syn::Ident>()?;
            let pat = syn::Pat::parse_single(&inside)?;
            inside.parse::<syn::Token![,]>()?;
            Some(pat)
        } else {
            None
        };
        while !inside.is_empty() {
            let pat = syn::Pat::parse_single(&inside)?;
            inside.parse::<syn::Token![in]>()?;
            arrays.push((pat, inside.parse()?));
            if inside.is_empty() {
                break;
            }
            inside.parse::<syn::Token![,]>()?;
        }
        input.parse::<Option<syn::Token![=>]>>()?;
        Ok(Azip { position, arrays, body: input.parse()? })
    }
}
