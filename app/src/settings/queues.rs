//! Which queues a worker serves, and how many jobs of each at once.

/// Reads `records=8,upkeep=1`; a number may be absent.
pub(super) fn parse(text: &str) -> Result<Vec<(String, Option<usize>)>, String> {
    const ALLOWED: &str = "queues and how many jobs of each at once (1 to 1000), \
        such as `records=8,upkeep=1`, each queue once";
    let mut queues: Vec<(String, Option<usize>)> = Vec::new();
    for part in text.split(',') {
        let (name, number) = match part.split_once('=') {
            Some((name, number)) => {
                (name.trim(), Some(number.trim().parse().map_err(|_| ALLOWED)?))
            }
            None => (part.trim(), None),
        };
        let is_name = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        let is_number = number.is_none_or(|number| (1..=1_000).contains(&number));
        if !is_name || !is_number || queues.iter().any(|(earlier, _)| earlier == name) {
            return Err(ALLOWED.to_owned());
        }
        queues.push((name.to_owned(), number));
    }
    Ok(queues)
}

/// Divides `workers` among the queues in proportion to their numbers, at least one each; zero
/// leaves the numbers as they are. A queue without a worker would wait in silence, so fewer
/// workers than queues means one each.
pub(super) fn divide(queues: Vec<(String, usize)>, workers: usize) -> Vec<(String, usize)> {
    if workers == 0 {
        return queues;
    }
    let rest = workers.saturating_sub(queues.len());
    let mut shares = vec![1_usize; queues.len()];
    for _ in 0..rest {
        // The next one goes to the queue with the most due per worker; to the first of equals.
        let neediest = (0..queues.len()).rev().max_by(|a, b| {
            let due = |one: usize, other: usize| queues[one].1 * (shares[other] + 1);
            due(*a, *b).cmp(&due(*b, *a))
        });
        neediest.into_iter().for_each(|index| shares[index] += 1);
    }
    queues.into_iter().zip(shares).map(|((name, _), share)| (name, share)).collect()
}

#[cfg(test)]
mod tests {
    use super::{divide, parse};

    #[test]
    fn a_list_is_names_with_or_without_numbers() {
        let list = parse(" records = 8, upkeep").expect("a list");
        assert_eq!(list, [("records".to_owned(), Some(8)), ("upkeep".to_owned(), None)]);
        for wrong in
            ["", ",", "a,", "a=0", "a=1001", "a=x", "a=", "=1", "a,a=2", "A", "a b", "a=-1"]
        {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn workers_are_divided_in_proportion() {
        let cases: [(&[usize], usize, &[usize]); 8] = [
            (&[8, 1], 0, &[8, 1]),
            (&[8, 1], 9, &[8, 1]),
            (&[8, 1], 4, &[3, 1]),
            (&[8, 1], 18, &[16, 2]),
            (&[1, 1, 1], 5, &[2, 2, 1]),
            (&[1000, 1, 1], 3, &[1, 1, 1]),
            (&[8], 1, &[1]),
            (&[8, 1], 1, &[1, 1]),
        ];
        for (numbers, workers, expected) in cases {
            let queues = numbers.iter().enumerate().map(|(i, n)| (i.to_string(), *n)).collect();
            let shares: Vec<_> = divide(queues, workers).into_iter().map(|(_, n)| n).collect();
            assert_eq!(shares, expected, "{numbers:?} {workers}");
        }
    }
}
