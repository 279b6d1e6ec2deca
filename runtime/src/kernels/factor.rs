//! Factorisations of one matrix, by `faer`, on one thread. Its working memory is kept from call to call.

use std::cell::RefCell;
use std::mem::MaybeUninit;

use faer::diag::{DiagMut, DiagRef};
use faer::dyn_stack::{MemStack, StackReq};
use faer::linalg::cholesky::lblt;
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::lu::partial_pivoting::factor as partial_lu;
use faer::linalg::triangular_solve as triangular;
use faer::perm::PermRef;
use faer::traits::RealField;
use faer::{Auto, MatMut, MatRef, Par, Spec};

use super::linalg::{Factor, Triangle};
use crate::Float;

thread_local! {
    static MEMORY: RefCell<Vec<MaybeUninit<u8>>> = const { RefCell::new(Vec::new()) };
}

/// Calls `f` with the working memory that is asked for.
fn with_memory<R>(required: StackReq, f: impl FnOnce(&mut MemStack) -> R) -> R {
    MEMORY.with_borrow_mut(|memory| {
        let len = required.unaligned_bytes_required();
        if memory.len() < len {
            memory.resize(len, MaybeUninit::uninit());
        }
        f(MemStack::new(memory))
    })
}

impl<T: Float + RealField> Factor for T {
    fn factor_lu(a: &mut [T], pivots: &mut [usize], n: usize) {
        let params = Spec::<partial_lu::PartialPivLuParams, T>::new(Auto::<T>::auto());
        let own = StackReq::new::<usize>(n);
        let required = StackReq::all_of(&[own, partial_lu::lu_in_place_scratch::<usize, T>(n, n, Par::Seq, params)]);
        with_memory(required, |stack| {
            let (mut inverse, stack) = stack.make_with(n, |_| 0_usize);
            partial_lu::lu_in_place(MatMut::from_row_major_slice_mut(a, n, n), pivots, &mut inverse, Par::Seq, stack, params);
        });
        // Row `i` comes from row `pivots[i]`. As exchanges in order: that row may have been moved by the exchanges before.
        for i in 0..n {
            let mut from = pivots[i];
            while from < i {
                from = pivots[from];
            }
            pivots[i] = from;
        }
    }

    fn solve_triangle(t: &[T], b: &mut [T], n: usize, columns: usize, triangle: Triangle) {
        let t = MatRef::from_row_major_slice(t, n, n);
        let t = if triangle.transposed { t.transpose() } else { t };
        let b = MatMut::from_row_major_slice_mut(b, n, columns);
        match (triangle.lower != triangle.transposed, triangle.unit) {
            (true, false) => triangular::solve_lower_triangular_in_place(t, b, Par::Seq),
            (true, true) => triangular::solve_unit_lower_triangular_in_place(t, b, Par::Seq),
            (false, false) => triangular::solve_upper_triangular_in_place(t, b, Par::Seq),
            (false, true) => triangular::solve_unit_upper_triangular_in_place(t, b, Par::Seq),
        }
    }

    fn factor_cholesky(a: &mut [T], n: usize) -> bool {
        for i in 0..n {
            a[i * n + i + 1..(i + 1) * n].fill(T::zero());
        }
        let params = Spec::<llt::LltParams, T>::new(Auto::<T>::auto());
        let required = llt::cholesky_in_place_scratch::<T>(n, Par::Seq, params);
        let done = with_memory(required, |stack| {
            let matrix = MatMut::from_row_major_slice_mut(&mut *a, n, n);
            llt::cholesky_in_place(matrix, Default::default(), Par::Seq, stack, params).is_ok()
        });
        done && a.iter().all(|x| x.is_finite())
    }

    fn factor_symmetric(a: &mut [T], diagonal: &mut [T], beside: &mut [T], order: &mut [usize], inverse: &mut [usize], n: usize) {
        let params = Spec::<lblt::factor::LbltParams, T>::new(Auto::<T>::auto());
        let required = lblt::factor::cholesky_in_place_scratch::<usize, T>(n, Par::Seq, params);
        with_memory(required, |stack| {
            let matrix = MatMut::from_row_major_slice_mut(&mut *a, n, n);
            lblt::factor::cholesky_in_place(matrix, DiagMut::from_slice_mut(beside), order, inverse, Par::Seq, stack, params);
        });
        for (i, d) in diagonal.iter_mut().enumerate() {
            *d = a[i * (n + 1)];
        }
    }

    fn solve_symmetric(factor: &[T], diagonal: &[T], beside: &[T], order: &[usize], inverse: &[usize], x: &mut [T]) {
        let n = x.len();
        with_memory(lblt::solve::solve_in_place_scratch::<usize, T>(n, 1, Par::Seq), |stack| {
            let (factor, order) = (MatRef::from_row_major_slice(factor, n, n), PermRef::new_checked(order, inverse, n));
            let (diagonal, beside) = (DiagRef::from_slice(diagonal), DiagRef::from_slice(beside));
            lblt::solve::solve_in_place(factor, diagonal, beside, order, MatMut::from_row_major_slice_mut(x, n, 1), Par::Seq, stack);
        });
    }

    fn eigen(a: &[T], values: &mut [T], vectors: &mut [T], n: usize) -> bool {
        let params = Spec::new(Auto::<T>::auto());
        let own = StackReq::new::<T>(n * n);
        let required = StackReq::all_of(&[own, self_adjoint_evd_scratch::<T>(n, ComputeEigenvectors::Yes, Par::Seq, params)]);
        let half = T::from_f64(0.5);
        with_memory(required, |stack| {
            let (symmetric, stack) = stack.make_with(n * n, |k| half * (a[k] + a[k % n * n + k / n]));
            let (matrix, vectors) = (MatRef::from_row_major_slice(&symmetric, n, n), MatMut::from_row_major_slice_mut(vectors, n, n));
            self_adjoint_evd(matrix, DiagMut::from_slice_mut(values), Some(vectors), Par::Seq, stack, params).is_ok()
        })
    }
}
