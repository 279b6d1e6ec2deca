//! The macros of `bilevel`: `#[differentiable]` and `#[bilevel]`.
//!
//! This crate is only a shell, since a proc-macro crate can be neither tested in-process nor used by other tools. The compiler is the
//! library `bilevel-compiler`.

use proc_macro::TokenStream;

/// Generates derivatives of a function.
///
/// The function stays as it is. Beside it appears a module of the same name with
///
/// | item | meaning |
/// | --- | --- |
/// | `f::jvp(a, b, a_dot, b_dot) -> (y, y_dot)` | forward mode |
/// | `f::vjp(a, b, y_bar) -> (y, (a_bar, b_bar))` | reverse mode |
/// | `f::grad(a, b) -> (a_bar, b_bar)` | gradient; only if the result is one number |
/// | `f::value_and_grad(a, b) -> (y, (a_bar, b_bar))` | value and gradient; only if the result is one number |
/// | `f::hvp(a, b, a_dot, b_dot) -> (a_hvp, b_hvp)` | product of the Hessian and a vector; only if the result is one number |
/// | `f::linearize(a, b) -> impl Fn(a_dot, b_dot) -> y_dot` | evaluate once, apply many times |
///
/// and what `#[differentiable(..)]` asks for by name, since these are more code than all of the above:
///
/// | in the attribute | item | meaning |
/// | --- | --- | --- |
/// | `batched(x)` | `f::batched(a, xs) -> ys` | many examples at once: the named parameters, and the result, have a leading axis |
/// | | `f::batched_grad(a, xs) -> (a_bars, x_bars)` | the gradient of each example, along a leading axis; only if the result is one number |
/// | `jvp_many` | `f::jvp_many(a, b, a_dots, b_dots) -> (y, y_dots)` | several tangents at once, along a leading axis |
/// | `hvp_many` | `f::hvp_many(a, b, a_dots, b_dots) -> (a_hvps, b_hvps)` | several products with the Hessian at once |
/// | `jacobian` | `f::jacobian(a, b) -> (y_by_a, y_by_b)` | the axes of the result, then those of the argument; only if the result is one number or array |
/// | `hessian` | `f::hessian(a, b) -> ((aa, ab), (ba, bb))` | all second derivatives, symmetric to the last bit; only if the result is one number |
///
/// A batch is one program and not a loop: what does not depend on the examples is computed once, products become products of matrices, and an `if` whose
/// condition differs between examples computes each side for the examples that take it. Parameters that are numbers become `&Array1`. Jacobians are made forwards or
/// backwards, whichever is shorter for the shapes at hand.
///
/// Several values of a struct are a slice `&[Net]`, and as results a `Vec<Net>`; in Jacobians and Hessians a struct has one axis, along which its elements stand
/// in the order of `flat`.
///
/// All parameters of floating-point type are differentiated, or those in `#[differentiable(wrt(a, b))]`, which may be parts of structs and tuples, `wrt(net.w, pair.0)`; with one,
/// its derivative comes bare and not as a tuple. Integers, truth values and arrays of them are data.
///
/// # What the function may be made of
///
/// - Parameters and results: `f64`, `f32`, `usize`, `i64`, `bool`, arrays of them (`Array0` … `Array4`, by value, by reference, or as views), fixed arrays such as
///   `[f64; 3]` and `[[f64; N]; M]` with constant parameters of the function, tuples of such, and structs of such that derive [`Params`](macro@Params), which may stand in other modules
///   and crates. The gradient of a struct is a value of it.
/// - Functions may be generic over float types, `fn f<F: Float>(w: &Array1<F>) -> F`, bound by `bilevel::Float`, and so may structs:
///   companions then are, too, and a call of `f` or of `f::grad` is for `f64` or `f32` as its arguments are. Constants are written `F::from_f64(0.5)`; `F::zero()`, `F::one()`,
///   `F::from(n).unwrap()`, `F::epsilon()`, `F::infinity()` and their peers of `num_traits` are read, and `x.to_f64()`.
/// - Structs: fields, literals with `..base`, patterns, assignment to fields, `net.l2_norm()` and `net.dot_product(&other)` of [`Params`](macro@Params). Fixed arrays: literals, `x[i]`, also assigned to, `len`, `map`, `iter`, `iter_mut`, `for`, and
///   `ArrayView1::from(&x)` for the rest.
/// - `let`, shadowing, blocks, tuples, closures, assignment to variables declared by `let mut`, also by `+=` and its peers; `if` and `else`;
///   `match` on numbers, truth values and tuples of them; early `return` outside of loops; assertions, which are not part of the derivative.
/// - `for` over ranges, elements, rows, columns and parts along an axis, also with `rev`, `step_by`, `zip`, `enumerate`; `break` and `continue`. `while` and `loop` have forward
///   mode, and every mode with `#[bound(n)]` on the loop, where `n` is at least the number of turns: more turns panic.
/// - Assignment to elements and parts of `let mut` arrays: `y[[i, j]] += v`, `y.row_mut(i)`, `column_mut`, `index_axis_mut`, `slice_mut(s![..])` with `assign`, `fill`, `scaled_add`, `mapv_inplace`; `iter_mut`, `rows_mut` and
///   their like in `for`; `zip_mut_with`, `azip!`, `Zip::from(&mut y)`; `diag_mut`, `swap_axes`, `invert_axis`, `accumulate_axis_inplace`.
/// - `+ - * / %` with `ndarray`'s broadcasting, also in compound assignment; unary minus, comparisons, `&& || !`, `as`; `x[i]`, `x[[i, j]]`.
/// - Functions of numbers and of each element: `exp exp2 exp_m1 ln ln_1p log log2 log10 sqrt cbrt recip powi powf pow2 abs signum floor ceil round trunc
///   fract sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh to_radians to_degrees clamp hypot abs_sub is_nan is_infinite`, and this crate's `sigmoid
///   softplus relu gelu gelu_tanh`, of arrays `erf`; of numbers `max min mul_add atan2 copysign rem_euclid is_finite`.
/// - Reductions: `sum`, `product`, `mean`, `var`, `std`, each also over an axis, `fold`, `fold_axis`, and `sum`, `product`, `fold`, `all`, `any` of iterators.
/// - Closures, also bound by `let`, functions and paths such as `f64::tanh` in `mapv`, `map`, `map_axis`, `fold`, `from_shape_fn`, `Zip::from(..).and(..).map_collect(..)` and
///   in iterators: `iter`, `rows`, `columns`, `axis_iter`, `lanes`, `indexed_iter`, `windows`, `exact_chunks`, `axis_chunks_iter`, ranges, `map`, `zip`, `enumerate`, `rev`, `skip`, `take`, `step_by`,
///   `filter` before a reduction, `collect`.
/// - Parts and shapes: `slice(s![..])` with steps, negative positions and `NewAxis`, `row`, `column`, `index_axis`, `select`, `diag`, `t`, `permuted_axes`,
///   `split_at`, `insert_axis`, `broadcast`, `into_shape_with_order`, `to_shape`, `flatten`, `concatenate!`, `stack!`, `array!`, `dot`; lengths as `len`, `nrows`, `dim`, `shape()[k]`.
/// - Constructors: `zeros ones from_elem eye from_diag linspace from_shape_fn from_iter from_vec`.
/// - This crate's functions: `softmax log_sum_exp cross_entropy mse argmax argmin argmax_axis argmin_axis max_axis min_axis cumsum select gather scatter_add outer
///   batched_dot norm`; layers of networks, `log_softmax layer_norm batch_norm embedding attention causal_attention
///   masked_attention one_hot conv2d dilated_conv2d max_pool2d avg_pool2d`.
/// - Calls of functions with `#[differentiable]`, of this or any other module or crate: `use path::f` imports the body of `f` with it, and so does a path such as
///   `layers::dense(..)`. Recursion is refused. Functions with a [`#[derivative]`](macro@derivative) rule are called as they are. Constants of a module
///   need `#[differentiable]` as well, to be seen.
/// - [`grad!`](macro@grad), [`value_and_grad!`](macro@value_and_grad), [`jvp!`](macro@jvp) and [`hvp!`](macro@hvp) of such functions, nested to any depth; `stop_gradient(x)`.
///
/// Anything else is an error at its place that says what to write instead.
///
/// `#[shape(n, d)]` on a parameter names the lengths of its axes, or gives them as numbers, with `_` for an axis that is left open: equal names are
/// equal lengths, which is checked at the entry, and code that would join two different ones is an error at the expression that does.
///
/// `#[differentiable(crate = path)]` says where this crate is found, if not at `::bilevel`.
#[proc_macro_attribute]
pub fn differentiable(attr: TokenStream, item: TokenStream) -> TokenStream {
    bilevel_compiler::differentiable(attr.into(), item.into()).into()
}

/// Makes a struct one variable: its gradient is a value of the same struct, and solvers see its elements as one vector.
///
/// Implements `bilevel::Params` for a struct whose fields are floats, arrays and fixed arrays of floats, tuples of such, or structs that derive `Params`
/// as well. All floats are of one type. Fields that are no floats, such as a `usize`, come along unchanged.
///
/// `#[params(crate = path)]` says where this crate is found, if not at `::bilevel`.
#[proc_macro_derive(Params, attributes(params))]
pub fn derive_params(item: TokenStream) -> TokenStream {
    bilevel_compiler::derive_params(item.into()).into()
}

/// Makes a function, or the two functions of a module, the derivative of another one, whose body the macro cannot look into: `#[derivative(of = f)]`.
///
/// The parameters of the rule are those of `f`, numbers and arrays, and then either
///
/// - one tangent for each float parameter, named `x_dot` for `x`; the rule gives the tangent of the result. From it come both modes, so that it must be
///   linear in the tangents; or
/// - the cotangent of the result, named `y_bar` or `…_bar`; the rule gives the cotangents of the float parameters, bare or as a tuple. From it comes reverse mode
///   only: what needs forward mode, such as second derivatives, is refused.
///
/// A parameter that the rule does not use may have an underscore in front, as in `_x` beside `x_dot`.
///
/// Both stand in a module, `#[derivative(of = f)] mod f_rules { use super::*; fn tangent(..) .. fn cotangent(..) .. }`, which holds nothing else; each mode then takes
/// its own. In a `#[bilevel]` module they may also be two functions with the attribute.
///
/// The rule is itself differentiable code, so that derivatives of higher order follow from it, and may call `f`. `f` must be a pure function. It carries no attribute
/// of its own: the rule, which stands beside it and has its visibility, gives it a companion module, and lets differentiated functions and problems call it.
///
/// ```text
/// fn erf(x: f64) -> f64 {
///     special::erf(x)
/// }
///
/// #[derivative(of = erf)]
/// fn erf_rule(x: f64, x_dot: f64) -> f64 {
///     FRAC_2_SQRT_PI * (-x * x).exp() * x_dot
/// }
/// ```
#[proc_macro_attribute]
pub fn derivative(attr: TokenStream, item: TokenStream) -> TokenStream {
    bilevel_compiler::derivative(attr.into(), item.into()).into()
}

/// Generates a bilevel problem from an inline module.
///
/// One function of the module is the inner loss, `#[inner(minimize = w)]`, and one the outer loss, `#[outer(minimize = lambda)]`; several variables
/// are written `minimize(w, b)`. A parameter of the same name in both is the same thing. Parameters that are no variables are data, and become the
/// fields of the generated struct `Problem`, which implements `bilevel::BilevelProblem`: arrays by reference, numbers by value. Other functions and
/// constants of the module may be used by the losses.
///
/// `#[inner(minimize = w, sample(x, y))]` says that the arrays `x` and `y` have a row for each example, along their first axis. Steps of an unrolled method may then see batches of rows, with
/// `Unrolled::mixed().steps(1000).batches(Batches::of(32).seed(7))`. All rows count alike: a loss that reads a row by its position, or of which another array has as many elements as there are rows, is refused.
/// What belongs to a row otherwise is found by positions that are themselves sampled, `gather(weight, Axis(0), position)`.
///
/// In the place of `#[inner]` may stand `#[fixed_point(solve = z)]`: a map `z, … ↦ next z` whose fixed point is sought, and which is no loss. It gives back what it solves for, owned, several as a tuple in the
/// order of `solve(..)`. `Anderson`, `Broyden` or `Picard` find it; its hypergradient is made by `Implicit::gmres()`, `bicgstab()` or `neumann()`, by `Phantom::unrolled(k, tau)` or `Phantom::neumann(k, tau)`,
/// or by `Unrolled` with `GradientDescent::new(tau)`, whose steps are `z − τ (z − Φ(z))`. What needs a loss or a symmetric Hessian does not compile.
///
/// # The method in the attribute
///
/// `#[bilevel(hypergradient = .., inner = ..)]` chooses a method and what solves the inner problem, and gives `Problem` the functions `hypergradient`, `minimize`, `check` and
/// `solve_inner`, those of the solver that `problem.configured()` makes. `problem.solver(..)` still chooses otherwise. A name is a constructor and a setting a builder call:
/// `implicit(cg, tolerance = 1e-10)` is `Implicit::cg().tolerance(1e-10)`.
///
/// | `hypergradient =` | settings |
/// | --- | --- |
/// | `implicit(cg)`, `direct`, `minres`, `gmres`, `bicgstab`, `neumann`, `one_step`, `nystrom` in its place | those of the linear solver, and `damping`, `strong_convexity`, `error_bound`, `warm_start`, `unconverged` |
/// | `unrolled(mode = mixed, steps = 100)`, `reverse`, `forward`, `truncated`, `online` | `checkpoint = all`, `every(n)`, `sqrt`, `binomial(n)` or `online(n)`, or `memory = "256 MiB"`; `until`, or `batches = of(32, seed = 7, with_replacement)`; `last` of `truncated`; `every` of `online`; `clamp` of `forward` and `online` |
/// | `evograd` | `copies`, `sigma`, `temperature`, `seed`, `noise = signs` or `normal`, `rescaled` |
/// | `finite_differences` | `radius`, `tolerance`, `max_iterations` |
///
/// `inner =` is `lbfgs`, `newton_cg` or `gradient_descent` with `tolerance` and `max_iterations`, and for `unrolled` one of `gradient_descent(rate)`, `momentum(rate, momentum)`, `nesterov(rate, momentum)`,
/// `rms_prop(rate)`, `adam(rate)`, `adamw(rate, weight_decay)`, and `own_step`. Their hyperparameters are numbers or outer variables, as in `momentum(rate = log_rate.exp().per_step(), momentum = 0.9)`; `exp`, `sigmoid`,
/// `per_step`, `per_leaf` and `per_weight` are those of `Hyper`. Numbers may be constants, whose names have no small letters.
///
/// # Steps of the inner optimiser
///
/// A function with `#[step]` in the module is the step of the inner optimiser, for the methods that differentiate steps: `OwnStep`, in the attribute
/// `inner = own_step`. It takes
///
/// - all inner variables, and those outer variables and data that it needs, by their names in the losses; `grad!(train, w)` takes its arguments from there;
/// - outer variables that only it reads, which `minimize` names like all others;
/// - the optimiser's state: whatever else is passed by reference and made of floats. It is zero before the first step, or what `OwnStep::state` says;
/// - `t: usize`, the index of the step, which counts from 0; `rates[t]` is checked to have an element for each step;
/// - data that only it reads: what else is passed by value.
///
/// It gives the variables and then the state, in the order of the parameters, as a tuple if there are several.
///
/// `#[outer(minimize = l, optimizer(log_rate: f64))]` declares outer variables that no function takes: hyperparameters of a built-in optimiser. Methods that
/// differentiate a stationary point are refused for problems with variables that reach neither loss.
///
/// `#[bilevel(crate = path)]` says where this crate is found, if not at `::bilevel`.
#[proc_macro_attribute]
pub fn bilevel(attr: TokenStream, item: TokenStream) -> TokenStream {
    bilevel_compiler::bilevel(attr.into(), item.into()).into()
}

/// The gradient of a function inside of a differentiated function or loss: `grad!(f, w)`.
///
/// `f` is a function whose body the macro sees: one with `#[differentiable]`, or any of a `#[bilevel]` module. `w` is the name of the parameter of `f` to
/// differentiate, or `(w, b)` of several in the order of `f`'s parameters; the result is the gradient, or a tuple of gradients. The arguments of `f` are
/// the variables in sight that have the names of its parameters; `grad!(f(a, &b), w)` names them. Derivatives may be nested to any depth: `f` may
/// itself use `grad!`.
///
/// The plain function computes the gradient as well. Outside of differentiated functions call `f::grad`.
#[proc_macro]
pub fn grad(tokens: TokenStream) -> TokenStream {
    bilevel_compiler::derivative_outside("grad", tokens.into()).into()
}

/// The value and the gradient of a function inside of a differentiated function or loss: `value_and_grad!(f, w)` is `(f(..), grad!(f, w))`; see
/// [`grad!`](macro@grad).
#[proc_macro]
pub fn value_and_grad(tokens: TokenStream) -> TokenStream {
    bilevel_compiler::derivative_outside("value_and_grad", tokens.into()).into()
}

/// The value of a function and its derivative along a direction, inside of a differentiated function or loss: `jvp!(f, w; w_dot)` gives `(y, y_dot)`, for several
/// parameters `jvp!(f, (w, b); (w_dot, b_dot))`; see [`grad!`](macro@grad). A direction of a parameter that is passed by reference may be owned or a
/// reference.
#[proc_macro]
pub fn jvp(tokens: TokenStream) -> TokenStream {
    bilevel_compiler::derivative_outside("jvp", tokens.into()).into()
}

/// The product of the Hessian of a function and a vector, inside of a differentiated function or loss: `hvp!(f, w; v)`, for several parameters
/// `hvp!(f, (w, b); (v, u))`; see [`jvp!`](macro@jvp).
#[proc_macro]
pub fn hvp(tokens: TokenStream) -> TokenStream {
    bilevel_compiler::derivative_outside("hvp", tokens.into()).into()
}

/// Goes on with an expansion that asked for the body of a function elsewhere. Only called by generated code.
#[doc(hidden)]
#[proc_macro]
pub fn __resume(state: TokenStream) -> TokenStream {
    bilevel_compiler::resume(state.into()).into()
}
