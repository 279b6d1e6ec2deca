//! Large memory that is given back, kept for the next who asks for as much.
//!
//! An allocator returns large memory to the system as soon as it is freed, and every four kilobytes of it cost a page fault when they are used again: much more than computing
//! with them takes, for networks of convolutions whose intermediates fill a hundred megabytes. So each thread keeps what its buffers give back, by length, since a program asks for the
//! same lengths again and again.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::HashMap;

/// Smaller memory, in bytes, an allocator keeps by itself. Builds for debugging keep all of it, so that tests compute in memory that others have left.
const LEAST: usize = if cfg!(debug_assertions) { 1 } else { 1 << 15 };
/// The most bytes that a thread keeps. What would exceed it takes the place of all others.
const MOST: usize = 1 << 28;

/// Vectors of one type by their length.
type Shelf<T> = HashMap<usize, Vec<Vec<T>>>;

#[derive(Default)]
struct Store {
    /// A [`Shelf`] for each type of elements.
    shelves: HashMap<TypeId, Box<dyn Any>>,
    n_bytes: usize,
}

thread_local! {
    static STORE: RefCell<Store> = RefCell::default();
}

/// A vector of the length that was kept, with whatever is in it.
pub(super) fn take<T: 'static>(len: usize) -> Option<Vec<T>> {
    let n_bytes = len * size_of::<T>();
    if n_bytes < LEAST {
        return None;
    }
    let found = STORE.try_with(|store| {
        let store = &mut *store.borrow_mut();
        let shelf = store.shelves.get_mut(&TypeId::of::<T>())?.downcast_mut::<Shelf<T>>()?;
        let taken = shelf.get_mut(&len)?.pop()?;
        store.n_bytes -= n_bytes;
        Some(taken)
    });
    // A thread that ends keeps nothing.
    found.ok().flatten()
}

/// Keeps a vector for [`take`].
pub(super) fn keep<T: 'static>(memory: Vec<T>) {
    let n_bytes = memory.len() * size_of::<T>();
    if !(LEAST..=MOST).contains(&n_bytes) {
        return;
    }
    let _ = STORE.try_with(|store| {
        let store = &mut *store.borrow_mut();
        if store.n_bytes + n_bytes > MOST {
            store.shelves.clear();
            store.n_bytes = 0;
        }
        let shelf = store.shelves.entry(TypeId::of::<T>()).or_insert_with(|| Box::new(Shelf::<T>::new()));
        if let Some(shelf) = shelf.downcast_mut::<Shelf<T>>() {
            shelf.entry(memory.len()).or_default().push(memory);
            store.n_bytes += n_bytes;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_comes_back_by_type_and_length() {
        let len = 1 << 15;
        let memory = vec![1.0_f32; len];
        let place = memory.as_ptr();
        keep(memory);
        assert!(take::<f32>(len - 1).is_none());
        assert!(take::<u32>(len).is_none());
        let again = take::<f32>(len).unwrap();
        assert_eq!(again.as_ptr(), place);
        assert!(take::<f32>(len).is_none());
        // Small memory is kept in builds for debugging only, and none is nothing to keep.
        keep(vec![1.0_f32; 10]);
        assert_eq!(take::<f32>(10).is_some(), cfg!(debug_assertions));
        keep(Vec::<f32>::new());
        assert!(take::<f32>(0).is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let len = MOST / 8 / 2 - 1;
        for _ in 0..5 {
            keep(vec![0_u64; len]);
        }
        STORE.with(|store| assert!(store.borrow().n_bytes <= MOST));
        assert!(take::<u64>(len).is_some());
        keep(vec![0_u64; MOST / 8 + 1]);
        assert!(take::<u64>(MOST / 8 + 1).is_none());
    }
}
