//! What each capability keeps in memory for itself: one thing of a type.

use std::any::{Any, TypeId};

use elsa::sync::FrozenMap;

/// Things by their type. What was put in stays as long as the app.
#[derive(Default)]
pub struct Own(FrozenMap<TypeId, Box<dyn Any + Send + Sync>>);

impl std::fmt::Debug for Own {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Own").finish_non_exhaustive()
    }
}

impl Own {
    /// The one of this type; made now, if there is none.
    pub fn of<T: Any + Send + Sync + Default>(&self) -> &T {
        let key = TypeId::of::<T>();
        let thing = match self.0.get(&key) {
            Some(thing) => thing,
            None => self.0.insert(key, Box::<T>::default()),
        };
        #[expect(clippy::expect_used, reason = "it stands under its own type")]
        thing.downcast_ref().expect("a thing under its own type")
    }

    /// Puts one in, unless there is one already.
    pub fn put<T: Any + Send + Sync>(&self, thing: T) {
        self.0.insert(TypeId::of::<T>(), Box::new(thing));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_of_each_type() {
        let own = Own::default();
        own.put(7_u32);
        own.put(8_u32);
        assert_eq!((*own.of::<u32>(), *own.of::<u64>()), (7, 0));
        assert!(std::ptr::eq(own.of::<String>(), own.of::<String>()));
    }
}
