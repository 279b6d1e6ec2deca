//! The table of what the attribute may choose: each name, the path of builder calls that it stands for, and its settings.
//!
//! `implicit(cg, tolerance = 1e-10)` means `Implicit::cg().tolerance(1e-10)`: a name is a constructor, a setting a call on what that gives. Paths are those
//! of `bilevel::rt`.

/// Something that the attribute builds by its name.
#[derive(Debug)]
pub struct Entry {
    /// Its name in the attribute.
    pub name: &'static str,
    /// The type that has the constructor.
    pub ty: &'static str,
    /// The argument of the type, where it has one.
    pub of: Option<&'static str>,
    /// The constructor.
    pub new: New,
    /// The parameters of the constructor, which may be given in their order or by name.
    pub args: &'static [Setting],
    /// Whether all of them may be left out, for the default of the type.
    pub has_default: bool,
    /// The builder calls.
    pub settings: &'static [&'static [Setting]],
    /// Settings that contradict each other.
    pub conflicts: &'static [Conflict],
    /// Whether it is exact only where the Hessian of the inner loss is symmetric.
    pub needs_symmetry: bool,
}

/// How a constructor is written.
#[derive(Debug)]
pub enum New {
    /// The default of the type.
    Default,
    /// A function, or a variant with fields.
    Call(&'static str),
    /// A variant without fields.
    Value(&'static str),
}

/// A parameter of a constructor, or a builder call.
#[derive(Debug)]
pub struct Setting {
    /// Its name in the attribute.
    pub name: &'static str,
    /// The builder call.
    pub call: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Whether it has no default.
    pub required: bool,
}

/// What a setting takes.
#[derive(Debug)]
pub enum Kind {
    /// A number.
    Float,
    /// A whole number.
    Count,
    /// `true` or `false`.
    Truth,
    /// A number of bytes, also as text: `"256 MiB"`.
    Bytes,
    /// A number, or an outer variable.
    Hyper,
    /// Nothing: the bare name is the setting.
    Flag,
    /// One of several things, each with settings of its own.
    OneOf(&'static [Entry]),
}

/// Two settings that contradict each other.
#[derive(Debug)]
pub struct Conflict {
    /// Their names.
    pub settings: [&'static str; 2],
    /// The choices for the second that contradict the first; all where there are none.
    pub choices: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// A way to a hypergradient, with its variants.
#[derive(Debug)]
pub struct Family {
    /// Its name in the attribute.
    pub name: &'static str,
    /// What there is of it.
    pub variants: Variants,
    /// What makes `w(λ)` for it.
    pub inner: InnerKind,
}

/// How a variant is chosen.
#[derive(Debug)]
pub enum Variants {
    /// By the first argument: `implicit(cg, ..)`.
    First(&'static str, &'static [Entry]),
    /// By a setting: `unrolled(mode = mixed, ..)`.
    Key(&'static str, &'static [Entry]),
    /// There is one.
    Only(&'static Entry),
}

/// What makes `w(λ)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InnerKind {
    /// A solver that finds a stationary point.
    Solver,
    /// Steps, which are differentiated.
    Update,
}

impl InnerKind {
    /// What there is.
    pub fn entries(self) -> &'static [Entry] {
        match self {
            InnerKind::Solver => INNER_SOLVERS,
            InnerKind::Update => UPDATES,
        }
    }

    /// What it does, for messages.
    pub fn purpose(self) -> &'static str {
        match self {
            InnerKind::Solver => "which needs a solver that finds a stationary point",
            InnerKind::Update => "which differentiates the steps of an update",
        }
    }
}

const fn setting(name: &'static str, kind: Kind) -> Setting {
    Setting { name, call: name, kind, required: false }
}

const fn required(name: &'static str, kind: Kind) -> Setting {
    Setting { name, call: name, kind, required: true }
}

const fn entry(name: &'static str, ty: &'static str, new: New) -> Entry {
    Entry { name, ty, of: None, new, args: &[], has_default: false, settings: &[], conflicts: &[], needs_symmetry: false }
}

/// All ways to a hypergradient.
pub const METHODS: &[Family] = &[
    Family { name: "implicit", variants: Variants::First("linear solver", LINEAR), inner: InnerKind::Solver },
    Family { name: "unrolled", variants: Variants::Key("mode", MODES), inner: InnerKind::Update },
    Family { name: "evograd", variants: Variants::Only(&EVOGRAD), inner: InnerKind::Solver },
    Family { name: "finite_differences", variants: Variants::Only(&FINITE_DIFFERENCES), inner: InnerKind::Solver },
];

const EVOGRAD: Entry = Entry {
    settings: &[&[
        setting("copies", Kind::Count),
        setting("sigma", Kind::Float),
        setting("temperature", Kind::Float),
        setting("seed", Kind::Count),
        setting("noise", Kind::OneOf(NOISE)),
        setting("rescaled", Kind::Truth),
    ]],
    ..entry("evograd", "EvoGrad", New::Default)
};

const FINITE_DIFFERENCES: Entry = Entry {
    settings: &[&[setting("radius", Kind::Float)], ITERATIONS],
    needs_symmetry: true,
    ..entry("finite_differences", "FiniteDifferences", New::Default)
};

const IMPLICIT: &[Setting] = &[
    setting("damping", Kind::Float),
    setting("strong_convexity", Kind::Float),
    setting("error_bound", Kind::Truth),
    setting("warm_start", Kind::Truth),
    setting("unconverged", Kind::Truth),
];

const ITERATIONS: &[Setting] = &[setting("tolerance", Kind::Float), setting("max_iterations", Kind::Count)];

const fn linear(name: &'static str, of: &'static str, settings: &'static [&'static [Setting]]) -> Entry {
    Entry { of: Some(of), settings, ..entry(name, "Implicit", New::Call(name)) }
}

/// One that solves systems with symmetric matrices only.
const fn symmetric(name: &'static str, of: &'static str, settings: &'static [&'static [Setting]]) -> Entry {
    Entry { needs_symmetry: true, ..linear(name, of, settings) }
}

const LINEAR: &[Entry] = &[
    symmetric("cg", "Cg", &[ITERATIONS, &[setting("preconditioner", Kind::OneOf(PRECONDITIONERS))], IMPLICIT]),
    Entry {
        conflicts: &[Conflict {
            settings: ["allow_indefinite", "pseudo_inverse"],
            choices: &[],
            reason: "each says what to do with a matrix that is not positive definite",
        }],
        ..symmetric("direct", "Direct", &[&[setting("allow_indefinite", Kind::Flag), setting("pseudo_inverse", Kind::Float)], IMPLICIT])
    },
    symmetric("minres", "Minres", &[ITERATIONS, IMPLICIT]),
    linear("gmres", "Gmres", &[ITERATIONS, &[setting("restart", Kind::Count)], IMPLICIT]),
    linear("bicgstab", "BiCgStab", &[ITERATIONS, IMPLICIT]),
    Entry {
        conflicts: &[Conflict {
            settings: ["terms", "tolerance"],
            choices: &[],
            reason: "the tolerance is for a series whose number of terms is not set",
        }],
        ..linear(
            "neumann",
            "Neumann",
            &[&[setting("terms", Kind::Count), setting("step", Kind::Float), setting("tolerance", Kind::Float)], IMPLICIT],
        )
    },
    linear("one_step", "Neumann", &[&[setting("step", Kind::Float)], IMPLICIT]),
    symmetric(
        "nystrom",
        "Nystrom",
        &[&[setting("rank", Kind::Count), setting("rho", Kind::Float), setting("seed", Kind::Count)], IMPLICIT],
    ),
];

const PRECONDITIONER: &[Setting] = &[setting("seed", Kind::Count), setting("every", Kind::Count)];

const PRECONDITIONERS: &[Entry] = &[
    Entry { settings: &[&[setting("every", Kind::Count)]], ..entry("diagonal", "Preconditioner", New::Call("diagonal")) },
    Entry {
        args: &[required("probes", Kind::Count)],
        settings: &[PRECONDITIONER],
        ..entry("estimated_diagonal", "Preconditioner", New::Call("estimated_diagonal"))
    },
    Entry {
        args: &[required("rank", Kind::Count)],
        settings: &[PRECONDITIONER],
        ..entry("nystrom", "Preconditioner", New::Call("nystrom"))
    },
];

const RUN: &[Setting] = &[required("steps", Kind::Count), setting("batches", Kind::OneOf(BATCHES))];
const BATCHES: &[Entry] = &[Entry {
    args: &[required("rows", Kind::Count)],
    settings: &[&[setting("seed", Kind::Count), setting("with_replacement", Kind::Flag)]],
    ..entry("of", "Batches", New::Call("of"))
}];
const UNTIL: &[Setting] = &[setting("until", Kind::Float)];
const LAST: &[Setting] = &[required("last", Kind::Count)];
const EVERY: &[Setting] = &[required("every", Kind::Count)];
const CLAMP: &[Setting] = &[setting("clamp", Kind::Float)];
const KEPT: &[Setting] =
    &[Setting { name: "checkpoint", call: "checkpoints", kind: Kind::OneOf(CHECKPOINTS), required: false }, setting("memory", Kind::Bytes)];

const KEPT_TWICE: Conflict = Conflict { settings: ["memory", "checkpoint"], choices: &[], reason: "each says which states are kept" };
const UNKNOWN_LENGTH: Conflict = Conflict {
    settings: ["until", "checkpoint"],
    choices: &["every", "sqrt", "binomial"],
    reason: "this schedule needs to know where the run ends; `all` and `online` do not",
};

const UNTIL_A_BATCH: Conflict =
    Conflict { settings: ["until", "batches"], choices: &[], reason: "the gradient of a batch does not say whether the run has converged" };

const fn mode(name: &'static str, settings: &'static [&'static [Setting]], conflicts: &'static [Conflict]) -> Entry {
    Entry { settings, conflicts, ..entry(name, "Unrolled", New::Call(name)) }
}

const MODES: &[Entry] = &[
    mode("reverse", &[RUN, KEPT, UNTIL], &[KEPT_TWICE, UNKNOWN_LENGTH, UNTIL_A_BATCH]),
    Entry { needs_symmetry: true, ..mode("mixed", &[RUN, KEPT, UNTIL], &[KEPT_TWICE, UNKNOWN_LENGTH, UNTIL_A_BATCH]) },
    mode("forward", &[RUN, UNTIL, CLAMP], &[UNTIL_A_BATCH]),
    Entry { needs_symmetry: true, ..mode("truncated", &[RUN, LAST, KEPT], &[KEPT_TWICE]) },
    mode("online", &[RUN, EVERY, UNTIL, CLAMP], &[UNTIL_A_BATCH]),
];

const CHECKPOINTS: &[Entry] = &[
    entry("all", "Checkpoints", New::Value("All")),
    Entry { args: &[required("steps", Kind::Count)], ..entry("every", "Checkpoints", New::Call("Every")) },
    entry("sqrt", "Checkpoints", New::Value("Sqrt")),
    Entry { args: &[required("states", Kind::Count)], ..entry("binomial", "Checkpoints", New::Call("Binomial")) },
    Entry { args: &[required("states", Kind::Count)], ..entry("online", "Checkpoints", New::Call("Online")) },
];

const NOISE: &[Entry] = &[entry("signs", "Noise", New::Value("Signs")), entry("normal", "Noise", New::Value("Normal"))];

const RATE: &[Setting] = &[required("rate", Kind::Hyper)];
const RATE_AND_MOMENTUM: &[Setting] = &[required("rate", Kind::Hyper), required("momentum", Kind::Hyper)];
const MOMENTS: &[Setting] = &[setting("beta1", Kind::Hyper), setting("beta2", Kind::Hyper), setting("epsilon", Kind::Hyper)];

/// What finds a stationary point.
const INNER_SOLVERS: &[Entry] = &[
    Entry { settings: &[ITERATIONS, &[setting("memory", Kind::Count)]], ..entry("lbfgs", "Lbfgs", New::Default) },
    Entry { settings: &[ITERATIONS], ..entry("newton_cg", "NewtonCg", New::Default) },
    Entry { args: RATE, has_default: true, settings: &[ITERATIONS], ..entry("gradient_descent", "GradientDescent", New::Call("new")) },
];

/// What makes steps that are differentiated.
const UPDATES: &[Entry] = &[
    Entry { args: RATE, ..entry("gradient_descent", "GradientDescent", New::Call("new")) },
    Entry { args: RATE_AND_MOMENTUM, ..entry("momentum", "Momentum", New::Call("new")) },
    Entry { args: RATE_AND_MOMENTUM, ..entry("nesterov", "Nesterov", New::Call("new")) },
    Entry {
        args: RATE,
        settings: &[&[setting("decay", Kind::Hyper), setting("epsilon", Kind::Hyper)]],
        ..entry("rms_prop", "RmsProp", New::Call("new"))
    },
    Entry { args: RATE, settings: &[MOMENTS], ..entry("adam", "Adam", New::Call("new")) },
    Entry {
        args: &[required("rate", Kind::Hyper), required("weight_decay", Kind::Hyper)],
        settings: &[MOMENTS],
        ..entry("adamw", "AdamW", New::Call("new"))
    },
    entry(OWN_STEP, "OwnStep", New::Default),
];

/// The step that the user writes in the problem.
pub const OWN_STEP: &str = "own_step";

/// What an outer variable may go through on its way to a hyperparameter, in groups of which one may be taken: the builder calls of `Hyper`.
pub const HYPER_CALLS: &[&[&str]] = &[&["exp", "sigmoid"], &["per_step", "per_leaf", "per_weight"]];

impl Entry {
    /// All that can be set.
    pub fn all_settings(&self) -> impl Iterator<Item = &'static Setting> {
        self.args.iter().chain(self.settings.iter().copied().flatten())
    }
}
