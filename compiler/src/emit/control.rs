//! Loops and branches.
//!
//! A number that a loop carries is a `let mut` variable. An array that it carries has two buffers, the current one and the next, exchanged at the
//! end of each turn; an array of which the loop only changes parts has one (see [`in_place`](super::in_place)). What a loop stacks is written to its row
//! straight away. The two bodies of a branch give slices, of whatever memory. A `while` loop is a `loop` that computes its condition and leaves.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

use super::emitter::{Destination, Emitter};
use super::expr::Expr;
use crate::ir::{Body, Control, Dim, Elem, Elementwise, Op, Stmt, ValueId};

/// How a loop keeps a carried value.
enum Carried {
    /// It stays what it was.
    Constant,
    /// A number in a variable.
    Number(Ident),
    /// An array of which only parts are changed, in one buffer.
    InPlace(Ident),
    /// An array in two buffers.
    Exchanged { current: Ident, next: Ident },
}

impl<'f> Emitter<'f> {
    pub(super) fn control(&mut self, stmt: &'f Stmt, control: &Control) -> TokenStream {
        match control {
            Control::For { trip, reverse } => self.for_loop(stmt, *trip, *reverse),
            Control::If => self.branch(stmt),
            Control::While => self.while_loop(stmt),
            Control::Check { message } => {
                let holds = self.number(stmt.args[0]);
                self.check(&holds, message)
            }
        }
    }

    /// Before the statements of a body: initial values of carried arrays go straight to the buffers of the loops that carry them.
    pub(super) fn prepare_loops(&mut self, body: &'f Body) {
        for stmt in &body.stmts {
            let Op::Control(Control::For { .. }) = stmt.op else { continue };
            let nested = &stmt.bodies[0];
            for (k, &init) in stmt.args.iter().enumerate() {
                let param = nested.params[k + 1];
                if nested.results[k] != param && self.is_used_once(init) && self.is_defined_in(init, body) && self.can_write_to(init) {
                    let field = self.buffer(param);
                    self.write_to(init, Destination::Buffer(field));
                }
            }
        }
    }

    fn is_used_once(&self, value: ValueId) -> bool {
        self.plan.n_uses[value.0 as usize] == 1
    }

    /// Whether a value is computed by a statement of this very body.
    fn is_defined_in(&self, value: ValueId, body: &Body) -> bool {
        body.stmts.iter().any(|s| s.outs.contains(&value))
    }

    /// How the carried values of a loop are kept, for the body of its turns: statements before the loop and at the start of each turn.
    fn carry(&mut self, stmt: &'f Stmt, turn: &'f Body, params: &'f [ValueId]) -> (Vec<Carried>, TokenStream, TokenStream) {
        let rt = self.rt.clone();
        let (mut before, mut start) = (TokenStream::new(), TokenStream::new());
        let mut carried = Vec::new();
        for (k, (&init, &param)) in stmt.args.iter().zip(params).enumerate() {
            let doc = self.doc(stmt.outs[k]);
            carried.push(if turn.results[k] == param {
                self.places[param.0 as usize] = Some(self.memory(init));
                Carried::Constant
            } else if self.func.ty(param).rank() == 0 {
                let name = self.name(param);
                let init = self.number(init);
                let elem = super::expr::primitive(self.func.ty(param).elem);
                before.extend(quote!(#doc let mut #name: #elem = #init;));
                self.places[param.0 as usize] = Some(Expr::name(&name));
                Carried::Number(name)
            } else {
                let in_place = self.is_changed_in_place(turn, param, turn.results[k]);
                let taken = if in_place { self.buffer_to_take(init, stmt) } else { None };
                let current = match taken {
                    Some(field) => field,
                    None => {
                        let current = self.name(param);
                        // The initial value is in the buffer already if it was written there.
                        if !self.has_buffer(&current) {
                            self.buffer(param);
                            let (len, from) = (self.elements(param), self.memory(init));
                            before.extend(quote!(#rt::copy(buffers.#current.fit(#len), #from);));
                        }
                        current
                    }
                };
                if in_place {
                    self.set_own_buffer(param, &current);
                    self.places[param.0 as usize] = Some(Expr::atom(quote!(buffers.#current.all())));
                    Carried::InPlace(current)
                } else {
                    let next = self.names.unique(&format!("{current}_next"));
                    let next = self.buffer_called(next, self.func.ty(param).elem);
                    start.extend(quote!(let #current = &buffers.#current[..];));
                    self.places[param.0 as usize] = Some(Expr::name(&current));
                    Carried::Exchanged { current, next }
                }
            });
        }
        (carried, before, start)
    }

    /// Has the next values of carried arrays written to their buffers; gives those that are to be copied there at the end of the turn.
    fn next_to_buffers(&mut self, carried: &[Carried], turn: &'f Body) -> Vec<(ValueId, Destination)> {
        let mut copied = Vec::new();
        for (kind, &value) in carried.iter().zip(&turn.results) {
            if let Carried::Exchanged { next, .. } = kind {
                let place = Destination::Buffer(next.clone());
                if self.is_defined_in(value, turn) && self.can_write_to(value) {
                    self.write_to(value, place);
                } else {
                    copied.push((value, place));
                }
            }
        }
        copied
    }

    /// After the loop: the carried values as its results.
    fn last_values(&mut self, stmt: &'f Stmt, carried: &[Carried], params: &'f [ValueId]) -> TokenStream {
        let mut after = TokenStream::new();
        for ((kind, &out), &param) in carried.iter().zip(&stmt.outs).zip(params) {
            self.places[out.0 as usize] = match kind {
                Carried::Constant | Carried::Number(_) => self.places[param.0 as usize].clone(),
                Carried::InPlace(field) => {
                    self.set_own_buffer(out, field);
                    Some(Expr::atom(quote!(buffers.#field.all())))
                }
                Carried::Exchanged { current: field, .. } => {
                    let name = self.name(out);
                    self.set_own_buffer(out, field);
                    after.extend(quote!(let #name = &buffers.#field[..];));
                    Some(Expr::name(&name))
                }
            };
        }
        after
    }

    fn for_loop(&mut self, stmt: &'f Stmt, trip: Dim, reverse: bool) -> TokenStream {
        let body = &stmt.bodies[0];
        let n_carried = stmt.args.len();
        let (next_values, stacked_values) = body.results.split_at(n_carried);
        let stacked_outs = &stmt.outs[n_carried..];
        let trip = self.dim(trip);
        let (carried, mut before, start) = self.carry(stmt, body, &body.params[1..]);
        let mut stacked = Vec::new();
        for &out in stacked_outs {
            let field = self.buffer(out);
            let len = self.elements(out);
            before.extend(quote!(buffers.#field.fit(#len);));
            stacked.push(field);
        }

        let i = self.name(body.params[0]);
        self.places[body.params[0].0 as usize] = Some(Expr::name(&i));
        // Each result is written to its place at once if it has only one; what is left is copied at the end of the turn.
        let mut copied = self.next_to_buffers(&carried, body);
        for (field, &value) in stacked.iter().zip(stacked_values) {
            let place = Destination::Row { buffer: field.clone(), index: i.clone() };
            if self.is_defined_in(value, body) && self.can_write_to(value) {
                self.write_to(value, place);
            } else {
                copied.push((value, place));
            }
        }
        let statements = self.body(body);
        let mut end = TokenStream::new();
        for (value, place) in copied {
            end.extend(self.copy_to(value, &place));
        }
        end.extend(self.exchange(&carried, next_values));

        let mut after = self.last_values(stmt, &carried, &body.params[1..]);
        for (field, &out) in stacked.iter().zip(stacked_outs) {
            let doc = self.doc(out);
            self.set_own_buffer(out, field);
            after.extend(quote!(#doc let #field = &buffers.#field[..];));
            self.places[out.0 as usize] = Some(Expr::name(field));
        }
        let range = if reverse { quote!(::core::iter::Iterator::rev(0..#trip)) } else { quote!(0..#trip) };
        quote! {
            #before
            for #i in #range {
                #start
                #statements
                #end
            }
            #after
        }
    }

    fn while_loop(&mut self, stmt: &'f Stmt) -> TokenStream {
        let [condition, turn] = &stmt.bodies[..] else { unreachable!("a `while` loop has two bodies") };
        let (carried, before, start) = self.carry(stmt, turn, &turn.params);
        for (&seen, &param) in condition.params.iter().zip(&turn.params) {
            self.places[seen.0 as usize] = self.places[param.0 as usize].clone();
        }
        let copied = self.next_to_buffers(&carried, turn);
        let until = self.body(condition);
        let ends = Expr::elementwise(Elementwise::Not, Elem::Bool, &[self.number(condition.results[0])], &self.rt);
        let statements = self.body(turn);
        let mut end = TokenStream::new();
        for (value, place) in copied {
            end.extend(self.copy_to(value, &place));
        }
        end.extend(self.exchange(&carried, &turn.results));
        let after = self.last_values(stmt, &carried, &turn.params);
        quote! {
            #before
            loop {
                #start
                #until
                if #ends {
                    break;
                }
                #statements
                #end
            }
            #after
        }
    }

    /// Copies a value to the place of a result.
    fn copy_to(&self, value: ValueId, place: &Destination) -> TokenStream {
        let rt = &self.rt;
        let x = self.memory(value);
        match place {
            Destination::Row { buffer, index } if self.func.ty(value).rank() == 0 => quote!(buffers.#buffer[#index] = #x;),
            Destination::Row { .. } | Destination::Buffer(_) | Destination::Slice(_) => {
                let place = self.place_of(place, value);
                quote!(#rt::copy(#place, #x);)
            }
        }
    }

    /// Makes the next values the current ones.
    fn exchange(&self, carried: &[Carried], next_values: &[ValueId]) -> TokenStream {
        let rt = &self.rt;
        let mut numbers = Vec::new();
        let mut exchanges = TokenStream::new();
        for (kind, &value) in carried.iter().zip(next_values) {
            match kind {
                Carried::Constant | Carried::InPlace(_) => {}
                Carried::Number(name) => numbers.push((name, self.number(value))),
                Carried::Exchanged { current, next } => exchanges.extend(quote!(#rt::swap(&mut buffers.#current, &mut buffers.#next);)),
            }
        }
        // Several numbers change at once, since each may be made from the others.
        let assignments = match &numbers[..] {
            [] => TokenStream::new(),
            [(name, x)] => quote!(#name = #x;),
            _ => {
                let (names, values) = (numbers.iter().map(|(name, _)| name), numbers.iter().map(|(_, x)| x));
                quote!((#(#names),*) = (#(#values),*);)
            }
        };
        quote!(#assignments #exchanges)
    }

    fn branch(&mut self, stmt: &'f Stmt) -> TokenStream {
        let condition = self.number(stmt.args[0]);
        // Arrays that either body changes where they stand.
        let mut lent: Vec<(usize, ValueId, Ident)> = Vec::new();
        for k in 0..stmt.outs.len() {
            if let Some(array) = self.changed_by_branch(stmt, k)
                && let Some(field) = self.buffer_to_take(array, stmt)
            {
                lent.push((k, array, field));
            }
        }
        let given: Vec<usize> = (0..stmt.outs.len()).filter(|k| lent.iter().all(|(l, ..)| l != k)).collect();
        let bodies: Vec<TokenStream> = stmt
            .bodies
            .iter()
            .map(|body| {
                let statements = self.body_with(body, lent.iter().map(|&(_, array, _)| array).collect());
                let results: Vec<Expr> = given.iter().map(|&k| self.memory(body.results[k])).collect();
                match &results[..] {
                    [] => statements,
                    [result] => quote!(#statements #result),
                    _ => quote!(#statements (#(#results),*)),
                }
            })
            .collect();
        for (k, _, field) in &lent {
            let out = stmt.outs[*k];
            self.set_own_buffer(out, field);
            self.places[out.0 as usize] = Some(Expr::atom(quote!(buffers.#field.all())));
        }
        let names: Vec<Ident> = given.iter().map(|&k| self.name(stmt.outs[k])).collect();
        for (&k, name) in given.iter().zip(&names) {
            self.places[stmt.outs[k].0 as usize] = Some(Expr::name(name));
        }
        let (then, otherwise) = (&bodies[0], &bodies[1]);
        let pattern = match &names[..] {
            [] => return quote!(if #condition { #then } else { #otherwise }),
            [name] => quote!(#name),
            _ => quote!((#(#names),*)),
        };
        let doc = if let [out] = stmt.outs[..] { self.doc(out) } else { TokenStream::new() };
        quote!(#doc let #pattern = if #condition { #then } else { #otherwise };)
    }
}
