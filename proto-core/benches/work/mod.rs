//! Pieces of work, each beside the bare primitive that it cannot do without. The benchmark `speed` times them, and the
//! test `instructions` counts what they take.

pub(crate) mod encoding;
pub(crate) mod frames;
pub(crate) mod symbols;
pub(crate) mod token;

/// What is done again and again.
pub(crate) trait Side {
    /// How many calls can be prepared at once.
    fn most_calls(&self) -> usize {
        usize::MAX
    }

    /// Makes ready for so many calls; not measured.
    fn prepare(&mut self, _calls: usize) {}

    /// Does it once.
    fn call(&mut self);
}

impl<F: FnMut()> Side for F {
    fn call(&mut self) {
        self();
    }
}

/// What we do, and what the bare primitive does with the same input.
pub(crate) struct Work {
    pub(crate) ours: Box<dyn Side>,
    pub(crate) bare: Option<Box<dyn Side>>,
}

impl Work {
    pub(crate) fn new(ours: impl Side + 'static) -> Self {
        Self { ours: Box::new(ours), bare: None }
    }

    pub(crate) fn beside(ours: impl Side + 'static, bare: impl Side + 'static) -> Self {
        Self { ours: Box::new(ours), bare: Some(Box::new(bare)) }
    }

    /// The same with nothing beside it.
    pub(crate) fn alone(self) -> Self {
        Self { bare: None, ..self }
    }
}
