//! The names in sight, and what each stands for, of whatever kind that is.

/// A name and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Binding<V> {
    pub(super) name: String,
    pub(super) value: V,
}

/// The names in sight of an expression, innermost last. A name bound twice is shadowed, not changed, so every binding keeps its position as long as
/// its block is open.
#[derive(Clone, Debug)]
pub(super) struct Scope<V> {
    bindings: Vec<Binding<V>>,
}

impl<V> Default for Scope<V> {
    fn default() -> Self {
        Scope { bindings: Vec::new() }
    }
}

impl<V: Clone> Scope<V> {
    /// Adds a name.
    pub(super) fn bind(&mut self, name: impl Into<String>, value: V) {
        self.bindings.push(Binding { name: name.into(), value });
    }

    /// Number of bindings; what is bound afterwards goes when the scope is cut back to it.
    pub(super) fn mark(&self) -> usize {
        self.bindings.len()
    }

    /// Forgets everything bound since `mark`.
    pub(super) fn cut(&mut self, mark: usize) {
        self.bindings.truncate(mark);
    }

    /// The position of the innermost binding of a name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.bindings.iter().rposition(|b| b.name == name)
    }

    /// What the innermost binding of a name stands for.
    pub(super) fn get(&self, name: &str) -> Option<&V> {
        self.position(name).map(|at| &self.bindings[at].value)
    }

    /// The binding at a position.
    pub(super) fn at(&self, position: usize) -> &Binding<V> {
        &self.bindings[position]
    }

    /// Changes what the binding at a position stands for.
    pub(super) fn assign(&mut self, position: usize, value: V) {
        self.bindings[position].value = value;
    }

    /// What all bindings stand for.
    pub(super) fn values(&self) -> Vec<V> {
        self.bindings.iter().map(|b| b.value.clone()).collect()
    }

    /// Gives the first bindings their values back.
    pub(super) fn restore(&mut self, values: &[V]) {
        for (binding, value) in self.bindings.iter_mut().zip(values) {
            binding.value = value.clone();
        }
    }

    /// All names in sight, for suggestions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.bindings.iter().map(|b| b.name.as_str())
    }
}
