//! Text in, text out, for every rule, and for what the rules must leave alone. Every check also compares values.

use super::simplify;
use crate::ir::Func;
use crate::ir::text::{parse, same};
use crate::ir::verify::verify;
use crate::optimize::dead::dead;
use crate::optimize::testing::{Alike, check, check_alike, unchanged};

/// The pass, without the statements that it leaves unused.
fn pass(f: &Func) -> Func {
    dead(&simplify(f))
}

const PARAMS: &str = "%x: f64[n], %y: f64[n], %a: f64[n, m], %b: f64[n, m], %c: f64[m, k], %s: f64, %t: f64, %i: i64, %j: i64, %p: bool, %q: bool, \
                      %rows: usize[n], %u: usize, %g: f32, %one: f64[n, 1]";

/// A function of the parameters above whose result is `%r`, or the parameter that is given instead of statements.
fn function(body: &str) -> String {
    match body.contains("%r:") {
        true => format!("func f({PARAMS}) -> (%r) {{\n{body}\n}}"),
        false => format!("func f({PARAMS}) -> ({body}) {{\n}}"),
    }
}

/// A rule that is exact.
fn rule(input: &str, expected: &str) {
    check(pass, &function(input), &function(expected));
}

/// A rule under one of the licences.
fn licensed(input: &str, expected: &str) {
    check_alike(Alike::Rounding, pass, &function(input), &function(expected));
}

/// A rule that takes a common factor out of a sum: where the factor is infinite, one form may give an infinity and the other NaN.
fn factor_rule(input: &str, expected: &str) {
    check_alike(Alike::Finite, pass, &function(input), &function(expected));
}

fn no_rule(body: &str) {
    unchanged(pass, &function(body));
}

#[test]
fn signs_cancel() {
    rule("%1: f64[n] = neg(%x) %2: f64[n] = neg(%1) %r: f64[n] = exp(%2)", "%r: f64[n] = exp(%x)");
    rule("%1: f64[n] = neg(%y) %r: f64[n] = add(%x, %1)", "%r: f64[n] = sub(%x, %y)");
    rule("%1: f64[n] = neg(%x) %r: f64[n] = add(%1, %y)", "%r: f64[n] = sub(%y, %x)");
    rule("%1: f64[n] = neg(%y) %r: f64[n] = sub(%x, %1)", "%r: f64[n] = add(%x, %y)");
    rule("%1: f64[n] = neg(%x) %2: f64[n] = neg(%y) %r: f64[n] = mul(%1, %2)", "%r: f64[n] = mul(%x, %y)");
    rule("%1: f64[n] = neg(%x) %2: f64[n] = neg(%y) %r: f64[n] = div(%1, %2)", "%r: f64[n] = div(%x, %y)");
}

#[test]
fn signs_are_found_inside_products() {
    rule(
        "%1: f64 = neg(%s) %2: f64[n] = broadcast[](%1) %3: f64[n] = mul(%2, %x) %r: f64[n] = add(%3, %y)",
        "%2: f64[n] = broadcast[](%s) %3: f64[n] = mul(%2, %x) %r: f64[n] = sub(%y, %3)",
    );
    rule("%1: f64 = -3.0 %2: f64 = mul(%1, %s) %r: f64 = sub(%t, %2)", "%1: f64 = 3.0 %2: f64 = mul(%1, %s) %r: f64 = add(%t, %2)");
    rule("%1: f64 = 3.0 %2: f64 = mul(%1, %s) %r: f64 = neg(%2)", "%1: f64 = -3.0 %r: f64 = mul(%1, %s)");
}

#[test]
fn signs_are_found_inside_sums() {
    licensed("%1: f64[n] = neg(%x) %2: f64 = reduce_sum[0](%1) %r: f64 = add(%2, %s)", "%2: f64 = reduce_sum[0](%x) %r: f64 = sub(%s, %2)");
    licensed("%1: f64[n] = neg(%x) %2: f64[m] = einsum[i,ij->j](%1, %a) %r: f64[m] = neg(%2)", "%r: f64[m] = einsum[i,ij->j](%x, %a)");
}

#[test]
fn signs_stay_where_zeros_would_change_theirs() {
    for body in [
        "%1: f64 = sub(%s, %t) %r: f64 = neg(%1)",
        "%1: f64 = neg(%s) %r: f64 = sub(%1, %t)",
        "%1: f64[n] = neg(%x) %r: f64 = reduce_sum[0](%1)",
        "%1: f64[n] = neg(%x) %r: f64 = einsum[i,i->](%1, %y)",
        "%1: f64 = 0.0 %r: f64 = add(%s, %1)",
        "%1: f64 = 0.0 %r: f64 = sub(%1, %s)",
        "%1: f64 = 0.0 %r: f64 = mul(%1, %s)",
        "%r: f64 = sub(%s, %s)",
        "%r: f64 = div(%s, %s)",
    ] {
        rule(body, body);
    }
}

#[test]
fn neutral_elements_go() {
    for (body, kept) in [
        ("%1: f64 = 1.0 %2: f64 = mul(%1, %s) %r: f64 = exp(%2)", "s"),
        ("%1: f64 = 1.0 %2: f64 = mul(%s, %1) %r: f64 = exp(%2)", "s"),
        ("%1: f64 = 1.0 %2: f64 = div(%s, %1) %r: f64 = exp(%2)", "s"),
        ("%1: f64 = -0.0 %2: f64 = add(%s, %1) %r: f64 = exp(%2)", "s"),
        ("%1: f64 = -0.0 %2: f64 = add(%1, %s) %r: f64 = exp(%2)", "s"),
        ("%1: f64 = 0.0 %2: f64 = sub(%s, %1) %r: f64 = exp(%2)", "s"),
        ("%1: f64 = powi[1](%s) %r: f64 = exp(%1)", "s"),
    ] {
        rule(body, &format!("%r: f64 = exp(%{kept})"));
    }
    rule("%1: f64 = 1.0 %2: f64[n] = broadcast[](%1) %3: f64[n] = mul(%x, %2) %r: f64[n] = exp(%3)", "%r: f64[n] = exp(%x)");
    rule("%1: f64 = -1.0 %r: f64 = mul(%1, %s)", "%r: f64 = neg(%s)");
    rule("%1: f64 = -1.0 %r: f64 = div(%s, %1)", "%r: f64 = neg(%s)");
    rule("%1: f64 = -0.0 %r: f64 = sub(%1, %s)", "%r: f64 = neg(%s)");
    rule("%r: f64[n] = powi[0](%x)", "%1: f64 = 1.0 %r: f64[n] = broadcast[](%1)");
    rule("%r: f64[n] = powi[2](%x)", "%r: f64[n] = mul(%x, %x)");
}

#[test]
fn powers_of_two_combine() {
    rule("%1: f64 = 2.0 %2: f64 = mul(%1, %s) %3: f64 = 0.5 %4: f64 = mul(%3, %2) %r: f64 = exp(%4)", "%r: f64 = exp(%s)");
    rule("%1: f64 = 2.0 %2: f64 = mul(%1, %s) %r: f64 = mul(%2, %t)", "%2: f64 = mul(%s, %t) %1: f64 = 2.0 %r: f64 = mul(%1, %2)");
    rule("%1: f64 = 2.0 %2: f64 = mul(%1, %s) %r: f64 = div(%2, %t)", "%2: f64 = div(%s, %t) %1: f64 = 2.0 %r: f64 = mul(%1, %2)");
    rule("%1: f64 = 4.0 %r: f64 = div(%s, %1)", "%1: f64 = 0.25 %r: f64 = mul(%1, %s)");
    rule("%1: f64 = 3.0 %2: f64 = mul(%s, %1) %3: f64 = 0.5 %r: f64 = mul(%2, %3)", "%1: f64 = 1.5 %r: f64 = mul(%1, %s)");
    // Other factors would round, and large ones overflow.
    for body in [
        "%1: f64 = 0.1 %2: f64 = mul(%1, %s) %3: f64 = 3.0 %r: f64 = mul(%3, %2)",
        "%1: f64 = 3.0 %2: f64 = mul(%1, %s) %3: f64 = 5.0 %r: f64 = mul(%3, %2)",
        "%1: f64 = 3.0 %2: f64 = mul(%1, %s) %r: f64 = mul(%2, %t)",
        "%1: f64 = 1024.0 %2: f64 = mul(%1, %s) %r: f64 = mul(%2, %t)",
        "%1: f64 = 3.0 %r: f64 = div(%s, %1)",
    ] {
        rule(body, body);
    }
}

#[test]
fn like_terms_are_added_as_one() {
    rule("%r: f64[n] = add(%x, %x)", "%1: f64 = 2.0 %2: f64[n] = broadcast[](%1) %r: f64[n] = mul(%2, %x)");
    rule("%1: f64 = 0.5 %2: f64 = mul(%1, %s) %3: f64 = add(%2, %2) %r: f64 = exp(%3)", "%r: f64 = exp(%s)");
    licensed(
        "%1: f64 = add(%s, %t) %2: f64 = exp(%t) %3: f64 = add(%1, %2) %r: f64 = add(%3, %s)",
        "%2: f64 = exp(%t) %3: f64 = add(%t, %2) %1: f64 = 2.0 %4: f64 = mul(%1, %s) %r: f64 = add(%3, %4)",
    );
    rule("%1: f64 = neg(%s) %r: f64 = sub(%1, %s)", "%1: f64 = -2.0 %r: f64 = mul(%1, %s)");
    licensed(
        "%1: f64 = sub(%t, %s) %2: f64 = exp(%t) %3: f64 = add(%1, %2) %r: f64 = sub(%3, %s)",
        "%2: f64 = exp(%t) %3: f64 = add(%t, %2) %1: f64 = 2.0 %4: f64 = mul(%1, %s) %r: f64 = sub(%3, %4)",
    );
    licensed("%1: f64 = sub(%s, %t) %r: f64 = add(%1, %s)", "%1: f64 = 2.0 %2: f64 = mul(%1, %s) %r: f64 = sub(%2, %t)");
    // Terms that cancel, as in the error of a sum, and large factors, as in splitting a float into its halves.
    for body in [
        "%1: f64 = neg(%s) %2: f64 = exp(%1) %3: f64 = add(%s, %2) %r: f64 = sub(%3, %s)",
        "%1: f64 = add(%s, %t) %2: f64 = sub(%1, %s) %3: f64 = sub(%1, %2) %4: f64 = sub(%s, %3) %5: f64 = sub(%t, %2) %r: f64 = add(%4, %5)",
        "%1: f64 = 134217729.0 %2: f64 = mul(%1, %s) %3: f64 = sub(%2, %s) %r: f64 = sub(%2, %3)",
        "%1: f64 = 3.0 %2: f64 = mul(%1, %s) %r: f64 = sub(%2, %s)",
    ] {
        no_rule(body);
    }
}

#[test]
fn literals_combine_where_it_is_exact() {
    for (op, x, y, z) in [
        ("mul", "0.5", "2.0", Some("1.0")),
        ("mul", "3.0", "5.0", Some("15.0")),
        ("mul", "0.1", "3.0", None),
        ("mul", "1e-200", "1e-200", None),
        ("mul", "1e200", "1e200", None),
        ("mul", "0.0", "-3.0", Some("-0.0")),
        ("mul", "0.0", "inf", None),
        ("add", "0.5", "0.25", Some("0.75")),
        ("add", "0.1", "0.2", None),
        ("add", "1e16", "1.0", None),
        ("sub", "3.0", "1.0", Some("2.0")),
        ("sub", "1e15", "1.0", Some("999999999999999.0")),
        ("div", "1.0", "4.0", Some("0.25")),
        ("div", "1.0", "0.0", None),
        ("div", "6.0", "3.0", Some("2.0")),
    ] {
        let input = format!("func f() -> (%r) {{\n%1: f64 = {x} %2: f64 = {y} %r: f64 = {op}(%1, %2)\n}}");
        let output = simplify(&parse(&input).unwrap());
        verify(&output).unwrap();
        match z {
            Some(z) => check(pass, &input, &format!("func f() -> (%r) {{\n%r: f64 = {z}\n}}")),
            None => assert!(output.to_string().contains(op) || output.to_string().contains("mul"), "{output}"),
        }
    }
    let single = "func f() -> (%r) {\n%1: f32 = 0.10000000149011612 %2: f32 = 3.0 %r: f32 = mul(%1, %2)\n}";
    unchanged(pass, single);
    let large = "func f() -> (%r) {\n%1: usize = 9007199254740993 %r: f64 = cast(%1)\n}";
    unchanged(pass, large);
}

#[test]
fn integers_and_truth_values() {
    rule("%1: i64 = 2 %2: i64 = 3 %3: i64 = mul(%1, %2) %r: i64 = add(%3, %i)", "%3: i64 = 6 %r: i64 = add(%3, %i)");
    rule("%1: i64 = 0 %2: i64 = add(%i, %1) %r: i64 = mul(%2, %j)", "%r: i64 = mul(%i, %j)");
    rule("%1: i64 = 1 %2: i64 = div(%i, %1) %r: i64 = mul(%2, %j)", "%r: i64 = mul(%i, %j)");
    rule("%1: i64 = 0 %2: i64 = mul(%i, %1) %r: i64 = mul(%2, %j)", "%r: i64 = 0");
    rule("%1: i64 = 2 %2: i64 = 3 %3: bool = lt(%1, %2) %r: f64 = select(%3, %s, %t)", "%s");
    rule("%1: bool = not(%p) %r: bool = not(%1)", "%p");
    rule("%1: bool = true %r: bool = and(%p, %1)", "%p");
    rule("%1: bool = false %r: bool = and(%1, %p)", "%r: bool = false");
    rule("%1: bool = true %r: bool = or(%p, %1)", "%r: bool = true");
    rule("%1: bool = false %r: bool = or(%p, %1)", "%p");
    rule("%r: bool = or(%p, %p)", "%p");
    // Arithmetic that would fail at run time stays to fail there.
    let failing = "func f() -> (%r) {\n%1: usize = 2 %2: usize = 3 %r: usize = sub(%1, %2)\n}";
    assert!(same(&pass(&parse(failing).unwrap()), &parse(failing).unwrap()));
}

#[test]
fn selections_conversions_extremes() {
    rule("%1: bool = not(%p) %r: f64 = select(%1, %s, %t)", "%r: f64 = select(%p, %t, %s)");
    rule("%r: f64 = select(%p, %s, %s)", "%s");
    rule("%1: bool = true %r: f64 = select(%1, %s, %t)", "%s");
    rule("%1: bool = false %2: bool[n] = broadcast[](%1) %r: f64[n] = select(%2, %x, %y)", "%y");
    rule("%r: f64 = max(%s, %s)", "%s");
    rule("%r: f64 = cast(%s)", "%s");
    rule("%1: f64 = cast(%g) %r: f32 = cast(%1)", "%g");
    no_rule("%1: f32 = cast(%s) %r: f64 = cast(%1)");
    rule("%1: usize = dim_size[3]() %r: f64 = cast(%1)", "%r: f64 = 3.0");
}

#[test]
fn operations_come_before_broadcasts() {
    rule("%1: f64[n] = broadcast[](%s) %r: f64[n] = exp(%1)", "%1: f64 = exp(%s) %r: f64[n] = broadcast[](%1)");
    rule(
        "%1: f64[n, m] = broadcast[0](%x) %2: f64[n, m] = broadcast[](%s) %r: f64[n, m] = mul(%1, %2)",
        "%2: f64[n] = broadcast[](%s) %1: f64[n] = mul(%x, %2) %r: f64[n, m] = broadcast[0](%1)",
    );
    no_rule(
        "%row: f64[m] = reduce_sum[0](%a) %1: f64[n, m] = broadcast[0](%x) %2: f64[n, m] = broadcast[1](%row) %r: f64[n, m] = mul(%1, %2)",
    );
    no_rule("%1: f64[n] = broadcast[](%s) %r: f64[n] = mul(%1, %x)");
}

#[test]
fn rearrangements_in_a_row_are_one() {
    rule("%1: f64[n, m] = broadcast[0](%x) %r: f64[k, n, m] = broadcast[1, 2](%1)", "%r: f64[k, n, m] = broadcast[1](%x)");
    rule("%1: f64[m, n] = permute[1, 0](%a) %r: f64[n, m] = permute[1, 0](%1)", "%a");
    rule(
        "%1: f64[n, m, k] = broadcast[0, 1](%a) %2: f64[k, n, m] = permute[2, 0, 1](%1) %3: f64[k, m, n] = permute[0, 2, 1](%2) %r: f64[k, m, n] = exp(%3)",
        "%1: f64[m, n] = permute[1, 0](%a) %2: f64[m, n] = exp(%1) %r: f64[k, m, n] = broadcast[1, 2](%2)",
    );
    rule("%1: f64[1, n] = reshape(%x) %2: f64[n, 1] = reshape(%1) %r: f64[n] = reshape(%2)", "%x");
    rule("%1: f64[n] = broadcast[](%s) %r: f64[n, 1] = reshape(%1)", "%r: f64[n, 1] = broadcast[](%s)");
    rule("%r: f64[n] = permute[0](%x)", "%x");
}

#[test]
fn lengths_that_are_known() {
    rule("%r: usize = dim_size[7]()", "%r: usize = 7");
    rule("bind[len](%u) %1: usize = dim_size[len]() %r: f64 = cast(%1)", "%r: f64 = cast(%u)");
    no_rule("%r: usize = dim_size[n]()");
}

#[test]
fn positions() {
    rule("%1: f64[n, m] = put_along[1](%x, %rows) %r: f64[n] = take_along[1](%1, %rows)", "%x");
    licensed("%1: f64[n, m] = put_along[1](%x, %rows) %r: f64[n] = reduce_sum[1](%1)", "%x");
    licensed("%1: f64[n, m] = put_along[1](%x, %rows) %r: f64 = reduce_sum[0, 1](%1)", "%r: f64 = reduce_sum[0](%x)");
    no_rule("%1: f64[n, m] = put_along[1](%x, %rows) %r: f64[m] = reduce_sum[0](%1)");
    licensed(
        "%1: f64[n] = neg(%x) %2: f64[n, m] = put_along[1](%1, %rows) %r: f64[n, m] = add(%2, %a)",
        "%2: f64[n, m] = put_along[1](%x, %rows) %r: f64[n, m] = sub(%a, %2)",
    );
    rule("%1: f64[n, m] = broadcast[0](%x) %r: f64[m] = read[0](%1, %u)", "%1: f64 = read[0](%x, %u) %r: f64[m] = broadcast[](%1)");
    // Without the access nothing would check the position, unless it is the index of a loop of that length.
    no_rule("%1: f64[n, m] = broadcast[0](%x) %r: f64[n] = read[1](%1, %u)");
    rule(
        "%1: f64[m, n] = broadcast[1](%x) %r: f64[n] = for[m](%y) (%i2: usize, %v: f64[n]) -> (%w) { %2: f64[n] = read[0](%1, %i2) %w: f64[n] = mul(%2, %v) }",
        "%r: f64[n] = for[m](%y) (%i2: usize, %v: f64[n]) -> (%w) { %w: f64[n] = mul(%x, %v) }",
    );
}

#[test]
fn einsums_take_permutations_in() {
    rule("%1: f64[m, n] = permute[1, 0](%a) %r: f64[n, n] = einsum[ij,jk->ik](%b, %1)", "%r: f64[n, n] = einsum[ij,kj->ik](%b, %a)");
    rule("%1: f64[m, n] = permute[1, 0](%a) %r: f64[m] = einsum[ij,j->i](%1, %x)", "%r: f64[m] = einsum[ij,i->j](%a, %x)");
    rule("%1: f64[n, k] = einsum[ij,jk->ik](%a, %c) %r: f64[k, n] = permute[1, 0](%1)", "%r: f64[k, n] = einsum[ij,jk->ki](%a, %c)");
}

#[test]
fn einsums_leave_broadcast_axes_out() {
    // Summed in both: the other operand is summed before.
    factor_rule(
        "%1: f64[n, m] = broadcast[0](%x) %r: f64[n, k] = einsum[ij,jk->ik](%1, %c)",
        "%2: f64[k] = reduce_sum[0](%c) %3: f64[n, k] = broadcast[0](%x) %4: f64[n, k] = broadcast[1](%2) %r: f64[n, k] = mul(%3, %4)",
    );
    // Kept of the broadcast alone: the result is repeated.
    factor_rule(
        "%row: f64[m] = reduce_sum[0](%b) %1: f64[n, m] = broadcast[1](%row) %r: f64[n, k] = einsum[ij,jk->ik](%1, %c)",
        "%row: f64[m] = reduce_sum[0](%b) %2: f64[k] = einsum[i,ij->j](%row, %c) %r: f64[n, k] = broadcast[1](%2)",
    );
    // A repeated scalar is a factor.
    factor_rule(
        "%1: f64[n] = broadcast[](%s) %r: f64[m] = einsum[i,ij->j](%1, %a)",
        "%2: f64[m] = reduce_sum[0](%a) %3: f64[m] = broadcast[](%s) %r: f64[m] = mul(%3, %2)",
    );
}

#[test]
fn einsums_without_sums_are_products() {
    licensed("%r: f64 = einsum[,->](%s, %t)", "%r: f64 = mul(%s, %t)");
    licensed("%r: f64[n] = einsum[i,->i](%x, %s)", "%1: f64[n] = broadcast[](%s) %r: f64[n] = mul(%x, %1)");
    licensed("%r: f64[n, m] = einsum[ij,ij->ij](%a, %b)", "%r: f64[n, m] = mul(%a, %b)");
    licensed("%r: f64[n, m] = einsum[i,ij->ij](%x, %b)", "%1: f64[n, m] = broadcast[0](%x) %r: f64[n, m] = mul(%1, %b)");
    licensed(
        "%r: f64[m, n] = einsum[ij,i->ji](%a, %x)",
        "%1: f64[m, n] = permute[1, 0](%a) %2: f64[m, n] = broadcast[1](%x) %r: f64[m, n] = mul(%1, %2)",
    );
}

#[test]
fn products_and_sums_meet_in_the_better_form() {
    rule("%r: f64[n] = einsum[ij,ij->i](%a, %b)", "%1: f64[n, m] = mul(%a, %b) %r: f64[n] = reduce_sum[1](%1)");
    no_rule("%r: f64 = einsum[ij,ij->](%a, %b)");
    no_rule("%r: f64[n, k] = einsum[ij,jk->ik](%a, %c)");
    rule(
        "%1: f64[n, m] = broadcast[0](%x) %2: f64[n, m] = mul(%1, %a) %r: f64[m] = reduce_sum[0](%2)",
        "%r: f64[m] = einsum[i,ij->j](%x, %a)",
    );
    rule(
        "%1: f64[n, m, k] = broadcast[0, 1](%a) %2: f64[n, m, k] = broadcast[1, 2](%c) %3: f64[n, m, k] = mul(%1, %2) %r: f64[n, k] = reduce_sum[1](%3)",
        "%r: f64[n, k] = einsum[ij,jk->ik](%a, %c)",
    );
    // What is summed over one operand alone is summed before.
    factor_rule(
        "%1: f64[n, m, k] = broadcast[0, 1](%a) %2: f64[n, m, k] = broadcast[1, 2](%c) %3: f64[n, m, k] = mul(%1, %2) %r: f64[k] = reduce_sum[0, 1](%3)",
        "%1: f64[m] = reduce_sum[0](%a) %r: f64[k] = einsum[i,ij->j](%1, %c)",
    );
    // No matrix product, or a product that is needed anyway.
    no_rule("%1: f64[n, m] = mul(%a, %b) %r: f64[n] = reduce_sum[1](%1)");
    no_rule("%1: f64[n, m] = mul(%a, %b) %r: f64 = reduce_sum[0, 1](%1)");
    no_rule(
        "%1: f64[n, m] = broadcast[0](%x) %2: f64[n, m] = mul(%1, %a) %3: f64[m] = reduce_sum[0](%2) %4: f64[n, m] = broadcast[1](%3) %r: f64[n, m] = mul(%2, %4)",
    );
}

#[test]
fn reductions_in_a_row_and_of_rearrangements() {
    licensed("%1: f64[n] = reduce_sum[1](%a) %r: f64 = reduce_sum[0](%1)", "%r: f64 = reduce_sum[0, 1](%a)");
    rule("%1: f64[m] = reduce_max[0](%a) %r: f64 = reduce_max[0](%1)", "%r: f64 = reduce_max[0, 1](%a)");
    no_rule("%1: f64[m] = reduce_max[0](%a) %r: f64 = reduce_sum[0](%1)");
    rule("%1: f64[m, n] = permute[1, 0](%a) %r: f64[n] = reduce_sum[0](%1)", "%r: f64[n] = reduce_sum[1](%a)");
    licensed("%r: f64[n] = reduce_sum[1](%one)", "%r: f64[n] = reshape(%one)");
    rule("%r: f64[n] = reduce_max[](%x)", "%x");
    rule("%1: f64[n, m] = broadcast[0](%x) %r: f64[m] = log_sum_exp[0](%1)", "%1: f64 = log_sum_exp[0](%x) %r: f64[m] = broadcast[](%1)");
    licensed(
        "%1: f64[n, m] = broadcast[0](%x) %r: f64 = reduce_sum[0, 1](%1)",
        "%1: f64 = reduce_sum[0](%x) %2: f64[m] = broadcast[](%1) %r: f64 = reduce_sum[0](%2)",
    );
    rule(
        "%1: f64[n, m] = broadcast[](%s) %r: f64[n] = reduce_sum[1](%1)",
        "%1: f64[m] = broadcast[](%s) %2: f64 = reduce_sum[0](%1) %r: f64[n] = broadcast[](%2)",
    );
    no_rule("%1: f64[n] = broadcast[](%s) %r: f64 = reduce_sum[0](%1)");
}

#[test]
fn branches() {
    rule("%1: bool = true %r: f64 = if(%1) () -> (%2) { %2: f64 = exp(%s) } () -> (%t) { }", "%r: f64 = exp(%s)");
    rule("%1: bool = false %r: f64 = if(%1) () -> (%2) { %2: f64 = exp(%s) } () -> (%t) { }", "%t");
    rule(
        "%w: f64, %r: f64 = if(%p) () -> (%s, %2) { %2: f64 = exp(%s) } () -> (%s, %t) { }",
        "%r: f64 = if(%p) () -> (%2) { %2: f64 = exp(%s) } () -> (%t) { }",
    );
    rule("%r: f64 = if(%p) () -> (%s) { } () -> (%s) { }", "%s");
}

#[test]
fn carried_values_that_never_change() {
    rule(
        "%w: f64, %r: f64 = for[n](%s, %t) (%i2: usize, %v: f64, %z: f64) -> (%v, %z2) { %z2: f64 = mul(%v, %z) }",
        "%r: f64 = for[n](%t) (%i2: usize, %z: f64) -> (%z2) { %z2: f64 = mul(%s, %z) }",
    );
    rule(
        "%w: f64, %r: f64 = for[n](%s, %t) (%i2: usize, %v: f64, %z: f64) -> (%s, %z2) { %z2: f64 = mul(%v, %z) }",
        "%r: f64 = for[n](%t) (%i2: usize, %z: f64) -> (%z2) { %z2: f64 = mul(%s, %z) }",
    );
    rule("%r: f64 = for[n](%s) (%i2: usize, %v: f64) -> (%v) { }", "%s");
    // Another value than the initial one, handed on from the first turn.
    no_rule("%r: f64 = for[n](%s) (%i2: usize, %v: f64) -> (%t) { }");
}

#[test]
fn names_survive() {
    let f = parse("func f(%x: f64, %s: f64) -> (%out) {\n %logits: f64 = neg(%x)\n %minus: f64 = neg(%logits)\n %out: f64 = add(%s, %logits)\n %1: f64 = exp(%minus)\n}").unwrap();
    let text = simplify(&f).to_string();
    assert!(text.starts_with("func f(%x: f64, %s: f64) -> (%out) {") && text.contains("%out: f64 = sub(%s, %x)"), "{text}");
}

#[test]
fn nothing_is_computed_anew_in_a_loop() {
    no_rule(
        "%1: f64[n] = neg(%x) %2: f64[n] = mul(%1, %y) %3: f64 = 2.0 %4: f64[n] = broadcast[](%3) %5: f64[n] = mul(%4, %x)
         %r: f64[n] = for[k](%x) (%i2: usize, %v: f64[n]) -> (%z) { %w: f64[n] = add(%v, %2) %z: f64[n] = mul(%w, %5) }",
    );
}

#[test]
fn literals_of_f32_stay_exact() {
    let sum = "func f(%x: f32) -> (%r) {\n%1: f32 = 0.10000000149011612 %2: f32 = mul(%1, %x) %3: f32 = 200.0 %4: f32 = mul(%3, %x) %r: f32 = add(%2, %4)\n}";
    unchanged(pass, sum);
    let product = "func f(%x: f32) -> (%r) {\n%1: f32 = 0.10000000149011612 %2: f32 = mul(%1, %x) %3: f32 = 3.0 %r: f32 = mul(%3, %2)\n}";
    unchanged(pass, product);
}
