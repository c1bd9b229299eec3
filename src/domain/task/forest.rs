//! All tasks of a session as dense numbers: who is a part of whom, and who needs whom.
//!
//! Invariant: the numbers follow the ids, so that the smaller number is the smaller id, which is the
//! older task. What is below a task is one range of `walk`.
//! Invariant: what is needed stands together by who needs it; no hash of the standard library and no
//! object per task is touched once a forest is built.

use super::Task;
use super::dependency::DependencyType;
use crate::domain::ids::TaskId;

/// No task.
pub(crate) const NONE: u32 = u32::MAX;

/// A task as far as the shape of the forest goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Which task.
    pub id: TaskId,
    /// The task that it is a part of; one that is not in the forest counts as none.
    pub parent: Option<TaskId>,
}

/// One task needs another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// Who needs.
    pub source: TaskId,
    /// What is needed; one that is not in the forest is as if nobody needed it.
    pub target: TaskId,
    /// How.
    pub kind: DependencyType,
    /// Whether it gates.
    pub is_required: bool,
}

/// A need by numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) source: u32,
    pub(crate) target: u32,
    pub(crate) kind: DependencyType,
    pub(crate) is_required: bool,
}

/// Why one task cannot depend on another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unfit {
    /// It is the same task.
    Itself,
    /// One of both is a part of the other.
    Kin,
    /// One of both is not here.
    Unknown,
    /// Each of these needs the next one, and the last is the first.
    Cycle(Vec<TaskId>),
}

/// Tasks need each other in a circle: each needs the next one, and the last is the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the tasks need each other in a circle")]
pub struct CycleFound(pub Vec<TaskId>);

/// A number as it is kept.
pub(crate) fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}

/// Values by dense keys: all of one key stand together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    starts: Vec<u32>,
    items: Vec<u32>,
}

impl Rows {
    /// Of so many keys; the values of a key keep their order.
    pub(crate) fn of(keys: usize, pairs: impl Iterator<Item = (u32, u32)> + Clone) -> Self {
        let mut starts = vec![0u32; keys + 2];
        for (key, _) in pairs.clone() {
            starts[key as usize + 2] += 1;
        }
        for key in 2..starts.len() {
            starts[key] += starts[key - 1];
        }
        let mut items = vec![0; starts[keys + 1] as usize];
        for (key, value) in pairs {
            let place = &mut starts[key as usize + 1];
            items[*place as usize] = value;
            *place += 1;
        }
        starts.truncate(keys + 1);
        Self { starts, items }
    }

    pub(crate) fn row(&self, key: u32) -> &[u32] {
        let key = key as usize;
        &self.items[self.starts[key] as usize..self.starts[key + 1] as usize]
    }
}

/// Numbers by id: open addressing at half load at most, with a hash that costs two multiplications.
#[derive(Debug, Clone, Default)]
struct Numbers {
    slots: Vec<u32>,
    shift: u32,
}

impl Numbers {
    fn of(ids: &[TaskId]) -> Self {
        let size = (ids.len() * 2).next_power_of_two().max(2);
        let mut numbers = Self { slots: vec![NONE; size], shift: 64 - size.trailing_zeros() };
        for (number, id) in ids.iter().enumerate() {
            let mut slot = numbers.slot(*id);
            while numbers.slots[slot] != NONE {
                slot = (slot + 1) & (size - 1);
            }
            numbers.slots[slot] = small(number);
        }
        numbers
    }

    #[expect(clippy::cast_possible_truncation, reason = "the shift leaves the bits of a slot")]
    fn slot(&self, id: TaskId) -> usize {
        let (high, low) = id.uuid().as_u64_pair();
        let mixed = high.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ low;
        (mixed.wrapping_mul(0xd6e8_feb8_6659_fd93) >> self.shift) as usize
    }

    fn get(&self, id: TaskId, ids: &[TaskId]) -> Option<u32> {
        if ids.is_empty() {
            return None;
        }
        let mut slot = self.slot(id);
        loop {
            let number = self.slots[slot];
            if number == NONE {
                return None;
            }
            if ids[number as usize] == id {
                return Some(number);
            }
            slot = (slot + 1) & (self.slots.len() - 1);
        }
    }
}

/// All tasks of a session.
#[derive(Debug, Clone, Default)]
pub struct Forest {
    ids: Vec<TaskId>,
    numbers: Numbers,
    parents: Vec<u32>,
    /// Every task, each before its parts.
    walk: Vec<u32>,
    /// Where a task stands in the walk.
    places: Vec<u32>,
    /// How many tasks it is, itself included.
    sizes: Vec<u32>,
    /// By source.
    links: Vec<Link>,
    starts: Vec<u32>,
}

impl Forest {
    /// The forest of these tasks; deleted ones are left out by the caller.
    ///
    /// # Errors
    /// `CycleFound` when tasks are parts of each other.
    pub fn of(tasks: &[Task]) -> Result<Self, CycleFound> {
        let parts: Vec<Part> = tasks
            .iter()
            .map(|task| Part { id: task.id, parent: task.place.parent_task_id })
            .collect();
        let needs = tasks.iter().flat_map(|task| {
            task.dependencies.iter().map(|dependency| Need {
                source: task.id,
                target: dependency.target_task_id,
                kind: dependency.dependency_type,
                is_required: dependency.is_required,
            })
        });
        Self::build(&parts, needs)
    }

    /// The forest of this shape.
    ///
    /// # Errors
    /// `CycleFound` when tasks are parts of each other.
    pub fn build(
        parts: &[Part],
        needs: impl IntoIterator<Item = Need>,
    ) -> Result<Self, CycleFound> {
        let mut ids: Vec<TaskId> = parts.iter().map(|part| part.id).collect();
        if !ids.is_sorted() {
            ids.sort_unstable();
        }
        ids.dedup();
        let numbers = Numbers::of(&ids);
        let mut forest = Self { ids, numbers, ..Self::default() };
        forest.plant(parts)?;
        forest.link(needs);
        Ok(forest)
    }

    fn plant(&mut self, parts: &[Part]) -> Result<(), CycleFound> {
        let count = self.ids.len();
        self.parents = vec![NONE; count];
        for part in parts {
            let number = self.number(part.id).unwrap_or(NONE);
            self.parents[number as usize] =
                part.parent.and_then(|parent| self.number(parent)).unwrap_or(NONE);
        }
        let parents = &self.parents;
        let owned = (0..small(count)).filter(|task| parents[*task as usize] != NONE);
        let children = Rows::of(count, owned.map(|task| (parents[task as usize], task)));
        let mut walk = Vec::with_capacity(count);
        let mut places = vec![NONE; count];
        let mut sizes = vec![1u32; count];
        let mut open: Vec<u32> = Vec::new();
        for root in (0..small(count)).filter(|task| parents[*task as usize] == NONE) {
            open.push(root);
            while let Some(task) = open.pop() {
                places[task as usize] = small(walk.len());
                walk.push(task);
                open.extend(children.row(task).iter().rev());
            }
        }
        if let Some(looped) = (0..small(count)).find(|task| places[*task as usize] == NONE) {
            return Err(CycleFound(self.upwards(looped)));
        }
        for task in walk.iter().rev() {
            let parent = parents[*task as usize];
            if parent != NONE {
                sizes[parent as usize] += sizes[*task as usize];
            }
        }
        (self.walk, self.places, self.sizes) = (walk, places, sizes);
        Ok(())
    }

    /// The circle of parents that a task hangs on.
    fn upwards(&self, task: u32) -> Vec<TaskId> {
        let mut seen: Vec<u32> = Vec::new();
        let mut next = task;
        while !seen.contains(&next) {
            seen.push(next);
            next = self.parents[next as usize];
        }
        let circle = seen.iter().copied().skip_while(|known| *known != next).chain([next]);
        circle.map(|number| self.id(number)).collect()
    }

    fn link(&mut self, needs: impl IntoIterator<Item = Need>) {
        let count = self.ids.len();
        // Needs come task by task: the source is nearly always that of the need before.
        let mut newest: Option<(TaskId, u32)> = None;
        let needs = needs.into_iter();
        let mut links: Vec<Link> = Vec::with_capacity(needs.size_hint().0);
        for need in needs {
            let source = match newest {
                Some((id, number)) if id == need.source => Some(number),
                _ => self.number(need.source),
            };
            let (Some(source), Some(target)) = (source, self.number(need.target)) else { continue };
            newest = Some((need.source, source));
            let Need { kind, is_required, .. } = need;
            links.push(Link { source, target, kind, is_required });
        }
        if !links.is_sorted_by_key(|link| link.source) {
            links.sort_by_key(|link| link.source);
        }
        let mut starts = vec![0u32; count + 1];
        for link in &links {
            starts[link.source as usize + 1] += 1;
        }
        for task in 0..count {
            starts[task + 1] += starts[task];
        }
        (self.links, self.starts) = (links, starts);
    }

    /// How many tasks there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The number of a task.
    #[must_use]
    pub fn number(&self, id: TaskId) -> Option<u32> {
        self.numbers.get(id, &self.ids)
    }

    /// The task of a number.
    #[must_use]
    pub fn id(&self, number: u32) -> TaskId {
        self.ids[number as usize]
    }

    /// The ids of all tasks, by number.
    #[must_use]
    pub fn ids(&self) -> &[TaskId] {
        &self.ids
    }

    /// The task that it is a part of.
    pub(crate) fn parent(&self, task: u32) -> Option<u32> {
        let parent = self.parents[task as usize];
        (parent != NONE).then_some(parent)
    }

    /// The tasks that it is a part of, the nearest first.
    pub(crate) fn ancestors(&self, task: u32) -> impl Iterator<Item = u32> {
        std::iter::successors(self.parent(task), |above| self.parent(*above))
    }

    /// How many tasks it has above itself.
    #[must_use]
    pub fn depth(&self, task: u32) -> u32 {
        small(self.ancestors(task).count())
    }

    /// Whether it has no parts.
    pub(crate) fn is_leaf(&self, task: u32) -> bool {
        self.sizes[task as usize] == 1
    }

    /// The task and everything below it, each before its parts.
    pub(crate) fn whole(&self, task: u32) -> &[u32] {
        let place = self.places[task as usize] as usize;
        &self.walk[place..place + self.sizes[task as usize] as usize]
    }

    /// The leaves of a task; of a leaf, itself.
    pub(crate) fn leaves(&self, task: u32) -> impl Iterator<Item = u32> {
        self.whole(task).iter().copied().filter(|below| self.is_leaf(*below))
    }

    /// The direct parts of a task, by number.
    pub(crate) fn children(&self, task: u32) -> impl Iterator<Item = u32> {
        let below = self.whole(task)[1..].iter().copied();
        below.filter(move |part| self.parents[*part as usize] == task)
    }

    /// Every task, each before its parts.
    pub(crate) fn walk(&self) -> &[u32] {
        &self.walk
    }

    /// Every link, by source.
    pub(crate) fn links(&self) -> &[Link] {
        &self.links
    }

    /// The numbers of the links of a task.
    pub(crate) fn range(&self, task: u32) -> std::ops::Range<usize> {
        self.starts[task as usize] as usize..self.starts[task as usize + 1] as usize
    }

    /// What a task needs.
    pub(crate) fn needs(&self, task: u32) -> &[Link] {
        &self.links[self.range(task)]
    }

    fn is_within(&self, task: u32, whole: u32) -> bool {
        let (place, start) = (self.places[task as usize], self.places[whole as usize]);
        (start..start + self.sizes[whole as usize]).contains(&place)
    }

    /// Why the first cannot depend on the second; `None` when it can.
    #[must_use]
    pub fn unfit(&self, source: TaskId, target: TaskId) -> Option<Unfit> {
        if source == target {
            return Some(Unfit::Itself);
        }
        let (Some(from), Some(to)) = (self.number(source), self.number(target)) else {
            return Some(Unfit::Unknown);
        };
        if self.is_within(from, to) || self.is_within(to, from) {
            return Some(Unfit::Kin);
        }
        let way = self.way(to, from)?;
        let named = std::iter::once(from).chain(way).map(|number| self.id(number));
        Some(Unfit::Cycle(named.collect()))
    }

    /// The tasks by which one needs another one, both included: what is needed stands for all of its
    /// leaves, and a leaf needs what any of its wholes needs.
    fn way(&self, from: u32, to: u32) -> Option<Vec<u32>> {
        // Two faces of a task: it is waited for (its parts are, too), and it waits (its wholes do, too).
        let count = self.ids.len();
        let mut before = vec![NONE; 2 * count];
        let waits = |task: u32| task + small(count);
        let mut open = std::collections::VecDeque::from([from]);
        before[from as usize] = from;
        while let Some(face) = open.pop_front() {
            let is_waiting = face as usize >= count;
            let task = if is_waiting { face - small(count) } else { face };
            if !is_waiting && self.is_within(task, to) {
                return Some(self.trace(&before, face, from, to));
            }
            let mut reach = |next: u32| {
                if before[next as usize] == NONE {
                    before[next as usize] = face;
                    open.push_back(next);
                }
            };
            if is_waiting {
                self.needs(task).iter().for_each(|link| reach(link.target));
                self.parent(task).into_iter().for_each(|whole| reach(waits(whole)));
            } else if self.is_leaf(task) {
                reach(waits(task));
            } else {
                self.children(task).for_each(reach);
            }
        }
        None
    }

    fn trace(&self, before: &[u32], end: u32, from: u32, to: u32) -> Vec<u32> {
        let count = small(self.ids.len());
        let mut way = vec![to];
        let mut face = end;
        loop {
            let task = if face >= count { face - count } else { face };
            if way.last() != Some(&task) {
                way.push(task);
            }
            if face == from {
                break;
            }
            face = before[face as usize];
        }
        way.reverse();
        way
    }
}
