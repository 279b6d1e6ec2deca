//! The kernels of a problem allocate nothing after their first turn.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bilevel::prelude::*;

struct Counting;

static N_ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        N_ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`, and the memory comes from the system's allocator.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Products with vectors and of few columns (for the general product `matrixmultiply` allocates), broadcasts, reductions, a loop and a branch.
#[bilevel]
mod problem {
    use super::*;

    #[inner(minimize(w, start))]
    pub(super) fn train(w: &Array2<f64>, start: &Array1<f64>, log_l2: &f64, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        let mut h = start.clone();
        let mut total = 0.0;
        for t in 0..4 {
            h = (w.dot(&w.t().dot(&h)) * 0.1 + x.row(t)).tanh();
            total += if h.sum() > 0.0 { h.dot(&h) } else { (&h * start).sum() };
        }
        cross_entropy(&x.dot(w), y) + total + 0.5 * log_l2.exp() * ((w * w).sum() + start.dot(start))
    }

    #[outer(minimize = log_l2)]
    pub(super) fn validate(w: &Array2<f64>, x: &Array2<f64>, y: &Array1<usize>) -> f64 {
        cross_entropy(&x.dot(w), y)
    }
}

// One test in this file, so that no other thread allocates meanwhile.
#[test]
fn kernels_allocate_nothing_after_their_first_turn() {
    let x = Array2::from_shape_fn((40, 6), |(i, j)| ((i * 5 + j * 3) % 7) as f64 / 7.0 - 0.4);
    let y = Array1::from_shape_fn(40, |i| (i * i) % 3);
    let (w, start) = (Array2::from_shape_fn((6, 3), |(i, j)| (i as f64 - j as f64) / 10.0), Array1::from_elem(6, 0.2));
    let problem = problem::Problem { x: &x, y: &y };
    let mut workspace = problem.workspace(&(w, start), &-1.0).unwrap();
    let point: Vec<f64> = (0..24).map(|i| (i as f64).sin() / 5.0).collect();
    let (mut a, mut b) = (vec![0.0; 24], [0.0]);
    let mut turn = || {
        problem.inner_value_and_grad(&mut workspace, &point, &[-1.0], &mut a);
        problem.inner_curvature(&mut workspace, &point, &[-1.0]);
        problem.curvature_apply(&mut workspace, &point, &mut a, None);
        problem.curvature_apply(&mut workspace, &point, &mut a, Some(&mut b));
        problem.outer_value_and_grad(&mut workspace, &point, &[-1.0], &mut a, &mut b);
        N_ALLOCATIONS.load(Ordering::Relaxed)
    };
    let first = turn();
    let second = turn();
    assert!(first > 20, "the first turn makes the buffers");
    assert_eq!(turn() - second, 0);
    assert_eq!(second - first, 0);
}
