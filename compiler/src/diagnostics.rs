//! Everything the compiler says to users: the table of messages, and the collector of one expansion's errors.
//!
//! Each [`Message`] has a code, a sentence and a help line that says what to write instead; `{0}`, `{1}` … stand for the particulars.
//! [`Diagnostics`] gathers all independent errors of one expansion, so that one build shows them together, and turns them into one
//! `compile_error!` each, spanned at the user's tokens.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};

/// One entry of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Identifies the message in documentation and tests, such as `B0103`.
    pub code: &'static str,
    /// What is wrong.
    pub sentence: &'static str,
    /// What to write instead.
    pub help: &'static str,
}

macro_rules! messages {
    ($( $name:ident = $code:literal, $sentence:literal, $help:literal; )*) => {
        $(
            #[doc = concat!("`", $code, "`: ", $sentence)]
            pub const $name: Message = Message { code: $code, sentence: $sentence, help: $help };
        )*
        /// All messages, in the order of their codes.
        pub const ALL: &[Message] = &[$($name),*];
    };
}

/// The table, in groups: attributes (B01), signatures (B02), problems (B03), language (B04), names (B05), types and shapes (B06), control flow
/// (B07), derivatives (B08).
pub mod messages {
    use super::Message;

    messages! {
        // Attributes.
        ATTRIBUTE_ON_WRONG_ITEM = "B0101", "`#[{0}]` goes on {1}, not on {2}", "move the attribute, or remove it";
        ATTRIBUTE_ARGUMENT = "B0102", "`#[{0}]` does not understand `{1}`", "write {2}";
        MISSING_MINIMIZE = "B0103", "`#[{0}]` does not say which parameter is {3}", "write `#[{0}({2} = {1})]`";
        NOT_A_NAME = "B0104", "`{0}` is not the name of a parameter", "write the bare name, as in `minimize = w`, or several, as in `minimize(w, b)`";
        NAMED_TWICE = "B0105", "`{0}` is named twice", "name every parameter once";
        NOT_A_CHOICE = "B0106", "`{0}` is not {1}", "write one of {2}";
        UNKNOWN_WRT = "B0107", "`{0}` is not a parameter of `{1}`", "name one of its parameters: {2}";
        WRT_NOT_FLOAT = "B0108", "`{0}` is of type `{1}`, which has no derivative", "leave it out of `wrt`; integers and truth values are data";
        NOTHING_TO_DIFFERENTIATE = "B0109", "`{0}` has no parameter of floating-point type, so there is nothing to differentiate", "give it a parameter of type `f64`, `f32` or an array of them";
        MODULE_WITHOUT_BODY = "B0110", "`#[bilevel]` needs the body of the module `{0}`", "write the module inline: `mod {0} {{ … }}`";
        NESTED_ATTRIBUTE = "B0111", "`#[differentiable]` inside a `#[bilevel]` module is not needed and not available in this version", "remove it: functions without an attribute may be called by the losses as they are";
        REQUEST_NEEDS_NUMBER = "B0112", "`{0}` is for functions that give one number, and `{1}` gives `{2}`", "give back an `f64`, for example with `.sum()`, or remove `{0}`";
        REQUEST_NEEDS_ARRAY = "B0113", "`{0}` is for functions that give one number or one array, and `{1}` gives `{2}`", "give back an array that holds all of it, or remove `{0}`";
        TOO_MANY_AXES = "B0114", "`{0}` of `{1}` would have {2} axes, and arrays of `ndarray` have types up to {3}", "take or give back arrays with fewer axes, or remove `{0}`";
        REQUEST_OF_STRUCT = "B0115", "`{0}` of `{1}` is not available in this version for {2}", "pass structs, and give them back, by themselves and not in tuples, or remove `{0}`";

        WRT_PART = "B0116", "`{0}` {1}", "{2}";

        UNKNOWN_SETTING = "B0117", "`{0}` has no setting `{1}`", "its settings are {2}";
        SETTING_TWICE = "B0118", "`{0}` of `{1}` is set twice", "set it once";
        SETTING_MISSING = "B0119", "`{0}` needs {1}, which has no default", "write {2}";
        SETTING_VALUE = "B0120", "`{0}` of `{1}` is {2}, found `{3}`", "write `{4}`, or a constant of that type";
        SETTINGS_CONFLICT = "B0121", "`{0}` and `{1}` do not go together: {2}", "leave out one of them";
        INNER_DOES_NOT_FIT = "B0122", "`{0}` does not go with `{1}`, {2}", "write one of {3}";
        INNER_WITHOUT_METHOD = "B0123", "`inner` says what solves the inner problem of a method, and no method is chosen", "write `hypergradient = implicit(cg)` beside it";
        ASYMMETRIC_HESSIAN = "B0124", "`{0}` needs a symmetric Hessian, and `{1}` uses `stop_gradient` or a rule of its own, which may make it asymmetric", "write `implicit(gmres)`, `unrolled(mode = reverse, steps = 100)` or `unrolled(mode = forward, steps = 100)`";
        NOT_AN_OUTER_VARIABLE = "B0125", "`{0}` is not an outer variable of the problem", "name one of its outer variables ({1}), or write a number; constants have names in capitals";
        HYPER_OF_A_SOLVER = "B0126", "`{0}` is read by the inner solver only, and `{1}` is the derivative of a stationary point, which does not depend on how it is found: the hypergradient would be zero", "write a number, or choose `unrolled`, which differentiates the steps";
        BATCHES_WITHOUT_SAMPLE = "B0127", "`batches` says how many rows each step sees, and nothing says of which data", "name them in the inner loss: `#[inner(minimize = {0}, sample(x, y))]`";
        NO_STEP = "B0128", "`{0}` makes the steps of a `#[step]` function, and the problem has none", "write one, or name an update, such as `momentum(0.1, 0.9)`";
        ZERO_HYPERGRADIENT = "B0129", "the outer variable `{0}` is read by the inner optimiser only, and `{1}` is the derivative of a stationary point, which does not depend on how it is found: the hypergradient would be zero", "choose `unrolled`, which differentiates the steps";
        HYPER_NOT_READ = "B0130", "`{0}` is read by no loss, and what is chosen as `inner` does not read it either: its hypergradient would be zero", "write it as a hyperparameter, as in `inner = momentum({0}.exp(), 0.9)`, choose `inner = own_step` if the `#[step]` reads it, or take it out of the outer variables";

        // Signatures.
        UNSUPPORTED_TYPE = "B0201", "`{0}` is not a type that can be differentiated or passed as data", "write {1}";
        DYNAMIC_RANK = "B0202", "`{0}` has a rank that is only known at run time", "write a type of fixed rank, such as `Array2<f64>`, and convert with `into_dimensionality`";
        MUTABLE_PARAMETER = "B0203", "`{0}` is a parameter that the function may change, and a derivative needs a function without side effects", "take it by `&` and give the new value back as the result";
        PATTERN_PARAMETER = "B0204", "the pattern `{0}` cannot stand for a parameter", "give the parameter a plain name and take it apart in the body: `let {0} = name;`";
        SELF_PARAMETER = "B0205", "methods cannot be differentiated", "write a free function and pass what it needs by name";
        GENERIC_FUNCTION = "B0206", "`{0}` is generic over `{1}`, and nothing says that `{1}` is a float", "bound it by `bilevel::Float`, as in `fn {0}<{1}: Float>(..)`, or write a concrete type such as `f64`";
        QUALIFIED_FUNCTION = "B0207", "a function to differentiate cannot be `{0}`", "remove `{0}`";
        MISSING_RESULT = "B0208", "`{0}` gives nothing back, so it has no derivative", "give back the value: `-> f64`";
        RESULT_BY_REFERENCE = "B0209", "the result `{0}` is a reference", "give back an owned value: `{1}`";
        RESULT_IS_VIEW = "B0210", "the result `{0}` is a view", "give back an owned array: `{1}`";
        RESULT_NOT_FLOAT = "B0211", "the result of `{0}` has no floating-point part, so it has no derivative", "give back an `f64`, an `f32`, an array of them, or a tuple";
        UNUSED_WHERE = "B0212", "a `where` clause on `{0}` has nothing to constrain", "remove it";
        SHAPE_ATTRIBUTE = "B0213", "`{0}` is not understood", "write a name or a number for each axis, or `_` to leave one open: `#[shape(n, 3)]`";
        SHAPE_RANK = "B0214", "`{0}` speaks of {1}, but `{2}` is {3}", "write one name or number for each axis of an array";
        STRUCT_WITHOUT_PARAMS = "B0215", "the struct `{0}` does not derive `Params`", "write `#[derive(Params)]` above its definition";
        RECURSIVE_STRUCT = "B0216", "the struct `{0}` contains itself", "give it a fixed depth: a field for each part, or an array with one more axis";
        GENERIC_STRUCT = "B0217", "`{0}` is generic over `{1}`, and nothing says that `{1}` is a float", "bound it by `bilevel::Float`, as in `struct {0}<{1}: Float> {{ .. }}`, or write a concrete type such as `Array2<f64>`";
        BORROWED_FIELD = "B0218", "the field `{0}` of type `{1}` borrows what it holds", "own it, as in `Array2<f64>`, or pass it as a parameter of its own";
        FIXED_LENGTH = "B0219", "the length `{0}` of a fixed array is not one that the macro can compute", "write a number, a `const` of the same `#[bilevel]` module, or a constant parameter of the function";
        CONST_PARAMETER = "B0220", "nothing that is passed says what `{0}` is", "use it as the length of a fixed array in a parameter, `x: &[f64; {0}]`, or pass a `usize`";
        STRUCT_WITHOUT_FLOATS = "B0221", "no field of `{0}` is a float, an array of floats, or a struct of such", "leave the derive out: integers and truth values are data, and are passed by themselves";
        MIXED_FIELDS = "B0222", "`{0}` holds `{2}` in `{1}` and `{3}` here; its elements are one vector, and of one type", "write `{2}`";
        UNUSED_TYPE_PARAMETER = "B0223", "no parameter of `{1}` says what `{0}` is", "take a number or an array of `{0}`, or write a concrete type such as `f64`";
        CONST_GENERIC_STRUCT = "B0224", "the struct `{0}` is generic over the constant `{1}`, which is not available in this version", "write a number, or an `Array1<f64>`";

        // Problems.
        ROLE_MISSING = "B0301", "the problem `{0}` has no `#[{1}]` function", "put `#[{1}(minimize = …)]` on the function that computes the {1} loss";
        ROLE_TWICE = "B0302", "the problem has a second `#[{0}]` function, `{1}`", "keep one `#[{0}]` function; write further problems in modules of their own";
        VARIABLE_NOT_A_PARAMETER = "B0303", "the {0} variable `{1}` is not a parameter of `{2}`", "add the parameter, for example `{1}: &Array1<f64>`, or name one of: {3}";
        OUTER_VARIABLE_NOT_A_PARAMETER = "B0304", "the outer variable `{0}` is a parameter of neither `{1}` nor `{2}`", "add the parameter `{0}` to `{1}`, whose minimum it moves; what only the optimiser reads is a parameter of the `#[step]`, or stands with its type in `optimizer({0}: f64)`";
        OUTER_NOT_IN_INNER_SIGNATURE = "B0305", "the outer variable `{0}` does not reach the inner loss: `{1}` has no parameter `{0}`", "add the parameter `{0}` to `{1}`, or to a `#[step]`, and use it; otherwise its hypergradient is only the direct one and no inner problem is needed";
        INNER_NOT_IN_OUTER = "B0306", "the outer loss does not depend on the inner variable `{0}`", "give `{1}` a parameter `{0}` and use it; otherwise the two losses have nothing to do with each other";
        INNER_UNUSED = "B0307", "the inner loss does not depend on the inner variable `{0}`", "use `{0}` in the value that `{1}` gives back, or minimize another parameter";
        OUTER_UNUSED = "B0308", "the outer variable `{0}` does not reach the value of `{1}`", "use it there, or take the parameter out of `{1}`; what only the optimiser reads is a parameter of the `#[step]`, or stands with its type in `optimizer({0}: f64)`";
        SAME_NAME_OTHER_TYPE = "B0309", "`{0}` is `{1}` here and `{2}` in `{3}`; one name is one thing in a problem", "give both the same type, or rename one of them";
        VARIABLE_NOT_FLOAT = "B0310", "the {0} variable `{1}` is of type `{2}`, which cannot be minimized over", "use `f64`, `f32`, or an array of them";
        VARIABLE_BY_VALUE = "B0311", "the {0} variable `{1}` is passed by value", "take it by reference: `{1}: &{2}`";
        LOSS_NOT_SCALAR = "B0312", "the {0} loss is of type `{1}`, and a loss is one number", "give back `f64` or `f32`, for example with `.sum()` or `.mean().unwrap()`";
        BOTH_ROLES = "B0313", "`{0}` is both an inner and an outer variable", "name different parameters in `#[inner]` and `#[outer]`";
        MIXED_PRECISION = "B0314", "`{0}` is of type `{1}`, but the variables and losses before it are made of `{2}`", "use one float type for both losses and all variables";
        ONE_FUNCTION_BOTH_ROLES = "B0315", "`{0}` has two roles in the problem", "write two functions";
        VARIABLE_FIELD_READ = "B0316", "`{0}` is a `{1}` within an {2} variable, and a loss cannot depend on it", "pass it as a parameter of its own";
        GENERIC_LOSS = "B0317", "the {0} is generic, and a problem is for one float type and its own lengths", "write concrete types, such as `f64` and `[f64; 3]`; functions that it calls may be generic";
        STEP_WITHOUT_VARIABLE = "B0318", "the step `{0}` has no parameter for the inner variable `{1}`", "add the parameter `{1}: {2}`, the variable before the step";
        STEP_INDEX = "B0319", "the index of a step is a `usize`, and `t` is `{0}`", "write `t: usize`, or give the parameter another name";
        STEP_RESULT = "B0320", "a step gives what the next one takes, {0}: `{1}`, but this is `{2}`", "give them back as owned values, the variables and then the state in the order of the parameters; what is no state is passed by value, or is data of a loss, too";
        STATE_LENGTH = "B0321", "nothing says how long the state `{0}` is before the first step: {1}", "give back an array of the shape of a variable or of data, and combine the state with it";
        OPTIMIZER_VARIABLE_TAKEN = "B0322", "`{0}` is a parameter of `{1}`, and `optimizer` is for variables that no function of the problem takes", "name it in `minimize`";
        FIXED_POINT_RESULT = "B0323", "the map `{0}` gives `{1}`, and a fixed point needs what it solves for: `{2}`", "give back the next value of each variable in `solve(..)`, in its order, owned";
        FIXED_POINT_LENGTH = "B0324", "axis {1} of what the map gives back for `{0}` has a length of its own", "give back an array of the shape of `{0}`";

        SAMPLE = "B0325", "the rows of `{0}` cannot be drawn: {1}", "{2}";

        // The language.
        UNSUPPORTED_EXPRESSION = "B0401", "{0} cannot be differentiated in this version", "write {1}";
        UNSUPPORTED_STATEMENT = "B0402", "{0} cannot stand in a differentiated function", "{1}";
        UNSUPPORTED_PATTERN = "B0403", "the pattern `{0}` is not understood here", "bind a name or a tuple of names, and take the value apart with further `let`s";
        UNSUPPORTED_MACRO = "B0404", "the macro `{0}!` cannot be looked into", "{1}";
        LET_WITHOUT_VALUE = "B0405", "`{0}` is declared without a value", "give it a value where it is declared: `let {0} = …;`";
        ASSIGN_TO_PLACE = "B0406", "assigning to `{0}` is not available in this version", "assign to a variable declared by `let mut`, to an element `y[[i, j]]`, or to a part such as `y.row_mut(i)` or `y.slice_mut(s![..])`";
        UNSUPPORTED_LITERAL = "B0407", "the literal `{0}` has no place in a differentiated function", "use float, integer and boolean literals";
        UNSUPPORTED_OPERATOR = "B0408", "the operator `{0}` is not available on {1}", "{2}";
        UNSUPPORTED_CAST = "B0409", "`as {0}` is not understood", "cast to `f64`, `f32`, `usize`, `i64` or `bool`";
        TOO_DEEP = "B0410", "this expression is nested too deeply", "name parts of it by `let`";
        CONDITIONAL_CODE = "B0411", "`#[{0}]` is decided after the macro has run", "put it on the whole function or module, above the macro's attribute";
        GENERIC_CAST = "B0412", "`as` does not convert to or from the type parameter `{0}`", "{1}";
        GENERIC_LITERAL = "B0413", "`{0}` is not a number of type `{1}`, which the caller chooses", "write `{1}::from_f64({2})`";

        // Names.
        UNKNOWN_METHOD = "B0501", "the method `{0}` on {1} is not one that can be differentiated", "{2}";
        UNKNOWN_FUNCTION = "B0502", "the function `{0}` is not known here: its body is outside of what the macro sees", "{1}";
        UNKNOWN_NAME = "B0503", "`{0}` is not a parameter, a `let`, or a constant that the macro can see", "pass it as a parameter";
        RECURSION = "B0504", "`{0}` calls itself, directly or through others, and its derivative would not end", "write the repetition as a `for` loop";
        ARGUMENT_COUNT = "B0505", "`{0}` takes {1}, found {2}", "give it {1}";
        METHOD_ON_NUMBER = "B0506", "`{0}` is a method of arrays, and its receiver `{1}` is {2}", "call it on an array, or leave it out";
        CALL = "B0507", "`{0}` cannot be called like this: {1}", "compare the types, shapes and constants of the arguments with what the body of `{0}` does with them";
        UNKNOWN_STRUCT = "B0508", "the struct `{0}` is not known here: its definition is outside of what the macro sees", "write a struct with `#[derive(Params)]`, or a tuple";
        DERIVATIVE_SYNTAX = "B0510", "`{0}!` is not written like this: {1}", "write `{2}`";
        ARGUMENT_NOT_IN_SCOPE = "B0511", "`{0}` has a parameter `{1}`, and nothing of that name is in sight", "name the arguments: `{2}!({0}(..), ..)`";
        DERIVATIVE_OUTSIDE = "B0512", "`{0}!` stands outside of what is differentiated", "use it in functions with `#[differentiable]` and in `#[bilevel]` modules; elsewhere call the generated function, `f::{0}(..)`";
        RULE = "B0513", "`{0}` is not a rule for `{1}`: {2}", "give it the parameters of `{1}`, then one tangent `x_dot` for each float parameter `x`, and give back the tangent of the result; or then the cotangent `y_bar`, and give back the cotangents";
        RULE_NOT_LINEAR = "B0514", "`{0}` is no derivative of `{1}`: {2}", "a derivative is linear in the tangents; what depends on them otherwise belongs into a function of its own";
        NO_BODY = "B0515", "`{0}` has a rule and no body that could be looked into, so it cannot be called {1}", "{2}";
        RULES_MODULE = "B0516", "a module of rules holds `use super::*;` and the rules, so that names in `{0}` mean what they mean beside it", "move other items out of it, and write paths without `super::`";

        // Types and shapes.
        RANK_MISMATCH = "B0601", "`{0}` has {1} and `{2}` has {3}, which do not fit in `{4}`", "{5}";
        LENGTH_MISMATCH = "B0602", "`{0}` joins the lengths `{1}` and `{2}`, which differ: {3}, and {4}", "lengths that are joined by an operation must agree; two names in `#[shape(..)]` are two lengths";
        ELEMENT_MISMATCH = "B0603", "`{0}` holds `{1}` and `{2}` holds `{3}`, which do not combine", "convert one of them, for example with `as {1}` or `.mapv(|v| v as {1})`";
        EXPECTED_KIND = "B0604", "expected {0}, found {1}", "{2}";
        ANNOTATION = "B0605", "`{0}` is annotated as {1}, but its value is {2}", "correct or remove the annotation";
        RESULT_TYPE = "B0606", "`{0}` should be {1}, but is {2}", "change the declared type, or the value";
        OPTION_NOT_UNWRAPPED = "B0607", "`{0}` is an `Option`: it is `None` for an empty array", "write `.{1}.unwrap()`";
        AXIS_NOT_LITERAL = "B0608", "the axis must be known when the program is compiled", "write the number: `Axis(0)`";
        AXIS_OUT_OF_RANGE = "B0609", "`{0}` has {1}, so there is no axis {2}", "axes count from 0";
        EXPONENT_NOT_LITERAL = "B0610", "the exponent of `powi` must be known when the program is compiled", "write the number, or `powf` with a float";
        RUNTIME_LENGTH = "B0611", "the length `{0}` is computed, and the compiler cannot tell that it equals {1}", "ask the array for its length: `x.len()`, `x.nrows()` or `x.ncols()`";
        NUMBER_TOO_LARGE = "B0612", "the number `{0}` does not fit its type", "write a number of the type that stands around it";
        INTEGER_TYPE = "B0613", "the type of the integer `{0}` is not said, and the macro cannot see what Rust makes of it", "give the literal a suffix: `0_usize` or `0_i64`";
        OPERANDS = "B0614", "the operands of `{0}` do not fit: {1}", "compare the types and shapes of the operands";
        INDEX_TYPE = "B0615", "`{0}` may be negative: nothing says that `{1}` is a `usize`, and then Rust makes it an `i32`", "compute it in floats, with `{1} as f64`, or give a bound of the range a suffix: `0_usize`";
        UNKNOWN_FIELD = "B0616", "`{1}` has no field `{0}`", "its fields are {2}";
        TYPE_NOT_SAID = "B0617", "nothing in this call of `{0}` says what `{1}` is", "write it: `{0}::<f64>(..)`";
        GENERIC_MISMATCH = "B0618", "`{0}` holds `{1}` and `{2}` holds `{3}`, which do not combine", "convert one of them: `F::from_f64(x)` makes an `F` of an `f64`, `F::from(x).unwrap()` of any number, and `x.to_f64()` an `f64`";
        FLOAT_TYPE = "B0619", "the type of the float `{0}` is not said, and here `f32` and `f64` give different numbers", "give the variable a type, as in `let a: f64 = …`, or the literal a suffix: `0.1_f64`";

        // Control flow.
        RETURN_IN_A_LOOP = "B0701", "`return` inside of a loop leaves more than the loop", "set a `let mut` and `break`, and `return` after the loop";
        LOOP_EXIT = "B0702", "`{0}` {1}, which is not available in this version", "assign to a `let mut` before the loop, and leave one loop at a time with `break;` or `continue;`";
        ENDLESS_LOOP = "B0703", "this `loop` has no `break`, so that it never ends", "write `if … {{ break; }}` where it ends, or `for i in 0..n`";
        LOOP_RANGE = "B0704", "`{0}` is not something that a loop can go through here", "write `for i in a..b`, `for v in x.iter()`, `for row in x.rows()` or `for part in x.axis_iter(Axis(k))`, each also with `zip`, `enumerate` or `rev`, or read parts by position";
        CARRIED_TYPE = "B0705", "`{0}` is {1} before the loop and {2} after a turn", "a variable keeps its type and shape in a loop: start with {2}";
        CONDITION = "B0706", "a condition must be one truth value, found {0}", "compare numbers, or reduce the array first, for example with `.sum()`";
        BRANCH_TYPES = "B0707", "the branches of `if` give {0} and {1}", "both must have one type and shape";
        IF_WITHOUT_ELSE = "B0708", "an `if` that gives a value needs an `else`", "add `else {{ … }}`";
        ELEMENT_LOOP = "B0709", "a loop inside an element-wise closure is not available in this version", "move the loop outside of the closure, or go through the lanes by `map_axis`";
        ARRAY_IN_CLOSURE = "B0710", "`{0}` is an array, and a closure over elements combines numbers", "use whole-array operations instead of `mapv` here";

        CONDITION_CHANGES = "B0711", "the condition of a loop changes the variable `{0}`", "compute the condition without changing variables, and change them in the body";
        BOUND_ATTRIBUTE = "B0712", "`#[bound]` {0}", "write `#[bound(n)]` above a `while` or a `loop`, where `n` is a `usize` that is at least the number of its turns";

        // Derivatives.
        NOT_DIFFERENTIABLE = "B0801", "this cannot be differentiated exactly: {0}", "rewrite the expression, or leave the parameters it depends on out of `wrt`";

        LOOP_WITHOUT_BOUND = "B0802", "reverse mode runs this loop backwards, and nothing says how many turns it takes at most", "put `#[bound(n)]` on the loop, where `n` is at least the number of its turns";

        // The compiler itself.
        DEFECT = "B0901", "the compiler failed on this item: {0}", "please report it with the item; a smaller function may go through";
    }
}

/// One error, where it is and what it says.
#[derive(Clone, Debug)]
struct Diagnostic {
    code: &'static str,
    text: String,
    start: Span,
    end: Span,
    /// Whether it is about the whole item, so that it is none of what a call in it is blamed for.
    of_item: bool,
}

/// The errors of one expansion.
///
/// # Panics
/// In debug builds, if it is dropped without [`Diagnostics::finish`], since errors would then be lost.
#[derive(Debug, Default)]
pub struct Diagnostics {
    errors: Vec<Diagnostic>,
    /// Paths to items whose tokens the expansion lacks.
    asked: Vec<syn::Path>,
    finished: bool,
}

impl Diagnostics {
    /// A collector without errors.
    pub fn new() -> Self {
        Diagnostics::default()
    }

    /// Adds an error at the given tokens of the user's.
    pub fn error(&mut self, at: impl ToTokens, message: Message, particulars: &[&str]) {
        let mut spans = at.into_token_stream().into_iter().map(|t| t.span());
        let start = spans.next().unwrap_or_else(Span::call_site);
        let end = spans.last().unwrap_or(start);
        self.push(start, end, message, particulars);
    }

    /// Adds an error at a place.
    pub fn error_at(&mut self, span: Span, message: Message, particulars: &[&str]) {
        self.push(span, span, message, particulars);
    }

    /// Adds an error about the whole item that is being expanded, at its attribute. [`gather`](Self::gather) leaves it as it is.
    pub fn error_of_item(&mut self, message: Message, particulars: &[&str]) {
        self.error_at(Span::call_site(), message, particulars);
        self.errors.last_mut().expect("was just added").of_item = true;
    }

    fn push(&mut self, start: Span, end: Span, message: Message, particulars: &[&str]) {
        let text = format!("{}\nhelp: {} [{}]", fill(message.sentence, particulars), fill(message.help, particulars), message.code);
        self.errors.push(Diagnostic { code: message.code, text, start, end, of_item: false });
    }

    /// Adds an error of the parser, which speaks of tokens and has no entry in the table.
    pub fn syntax_error(&mut self, error: &syn::Error) {
        for e in error.clone() {
            self.errors.push(Diagnostic { code: "syntax", text: e.to_string(), start: e.span(), end: e.span(), of_item: false });
        }
    }

    /// Makes one error at the given tokens of all errors from the `first` on, if there are any. Their sentences become the last particular. Errors about the
    /// whole item stay as they are.
    pub fn gather(&mut self, first: usize, at: impl ToTokens, message: Message, particulars: &[&str]) {
        let (of_item, gathered): (Vec<Diagnostic>, Vec<Diagnostic>) = self.errors.drain(first..).partition(|e| e.of_item);
        self.errors.extend(of_item);
        if gathered.is_empty() {
            return;
        }
        let sentences: Vec<&str> = gathered.iter().map(|e| e.text.lines().next().unwrap_or(&e.text)).collect();
        self.error(at, message, &[particulars, &[&sentences.join("; ")]].concat());
    }

    /// Takes note that the expansion cannot go on without the tokens of the item at `path`, which its carrier may have.
    pub fn ask(&mut self, path: &syn::Path) {
        if !self.asked.contains(path) {
            self.asked.push(path.clone());
        }
    }

    /// The items that the expansion cannot go on without.
    pub fn asked(&self) -> &[syn::Path] {
        &self.asked
    }

    /// Whether there is an error so far.
    pub fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Number of errors so far.
    pub fn n_errors(&self) -> usize {
        self.errors.len()
    }

    /// The codes of the errors so far, in order.
    pub fn codes(&self) -> Vec<&'static str> {
        self.errors.iter().map(|e| e.code).collect()
    }

    /// The texts of the errors so far, in order: the sentence, then the help line.
    pub fn texts(&self) -> Vec<&str> {
        self.errors.iter().map(|e| e.text.as_str()).collect()
    }

    /// Ends the collection.
    ///
    /// # Errors
    /// One `compile_error!` per error, as tokens.
    pub fn finish(mut self) -> Result<(), TokenStream> {
        self.finished = true;
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors.iter().map(Diagnostic::to_compile_error).collect()) }
    }
}

impl Diagnostic {
    /// `::core::compile_error! { "text" }`, from the first to the last token concerned.
    fn to_compile_error(&self) -> TokenStream {
        let text = &self.text;
        // rustc underlines from the first token of an invocation to its last, so these two carry the user's spans.
        let path = quote_spanned!(self.start=> ::core::compile_error!);
        let body = quote_spanned!(self.end=> { #text });
        quote::quote!(#path #body)
    }
}

impl Drop for Diagnostics {
    fn drop(&mut self) {
        if cfg!(debug_assertions) && !self.finished && !std::thread::panicking() {
            panic!("diagnostics were dropped without `finish`: {:?}", self.codes());
        }
    }
}

/// `template` with `{0}`, `{1}` … replaced, and `{{`, `}}` standing for braces.
fn fill(template: &str, particulars: &[&str]) -> String {
    let mut out = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            out.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        let close = tail.find('}').unwrap_or(tail.len() - 1);
        match tail[1..close].parse::<usize>().ok().and_then(|k| particulars.get(k)) {
            Some(p) => out.push_str(p),
            None => debug_assert!(false, "`{template}` lacks a particular"),
        }
        rest = &tail[close + 1..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_every_message_has_both_sentences() {
        for pair in messages::ALL.windows(2) {
            assert!(pair[0].code < pair[1].code, "{} before {}", pair[0].code, pair[1].code);
        }
        for m in messages::ALL {
            assert!(!m.sentence.is_empty() && !m.help.is_empty(), "{}", m.code);
            assert!(!m.sentence.ends_with('.') && !m.help.ends_with('.'), "{}: no full stop at the end", m.code);
        }
    }

    #[test]
    fn all_errors_appear_with_their_help() {
        let mut diags = Diagnostics::new();
        diags.error_at(Span::call_site(), messages::RETURN_IN_A_LOOP, &[]);
        diags.error_at(Span::call_site(), messages::ENDLESS_LOOP, &[]);
        assert_eq!(diags.codes(), ["B0701", "B0703"]);
        assert!(diags.texts()[0].starts_with("`return` inside of a loop"), "{}", diags.texts()[0]);
        assert!(diags.texts()[1].contains("`if … { break; }`"), "{}", diags.texts()[1]);
        let tokens = diags.finish().unwrap_err().to_string();
        assert_eq!(tokens.matches("compile_error").count(), 2);
    }

    #[test]
    #[should_panic(expected = "dropped without `finish`")]
    #[cfg(debug_assertions)]
    fn dropping_unchecked_panics() {
        let mut diags = Diagnostics::new();
        diags.error_at(Span::call_site(), messages::RETURN_IN_A_LOOP, &[]);
    }
}
