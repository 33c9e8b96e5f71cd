use std::collections::HashMap;

#[derive(Debug, Clone)]
pub struct Grid<T> {
    cells: HashMap<(i32, i32), T>,
    width: usize,
}

impl<T: Clone> Grid<T> {
    pub fn new(width: usize) -> Self {
        Grid { cells: HashMap::new(), width }
    }

    pub fn get(&self, x: i32, y: i32) -> Option<&T> {
        self.cells.get(&(x, y))
    }

    pub fn fill(&mut self, value: T) -> Result<usize, String> {
        if self.width == 0 {
            return Err(format!("no width: {}", self.width));
        }
        let mut count = 0;
        for x in 0..self.width as i32 {
            match self.cells.insert((x, 0), value.clone()) {
                Some(_) => continue,
                None => count += 1,
            }
        }
        println!("filled {} cells", count);
        Ok(count)
    }
}

fn main() {
    let mut grid = Grid::new(4);
    let filled = grid.fill("x".to_string()).unwrap();
    assert_eq!(filled, 4);
    let first = grid.get(0, 0).map(|cell| cell.len()).unwrap_or(0);
    println!("{first}");
}
