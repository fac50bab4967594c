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
/// leaves the numbers as they are. `None` if there are fewer workers than queues.
pub(super) fn divide(queues: Vec<(String, usize)>, workers: usize) -> Option<Vec<(String, usize)>> {
    if workers == 0 {
        return Some(queues);
    }
    let rest = workers.checked_sub(queues.len())?;
    let mut shares = vec![1_usize; queues.len()];
    for _ in 0..rest {
        // The next one goes to the queue with the most due per worker; to the first of equals.
        let neediest = (0..queues.len()).rev().max_by(|a, b| {
            let due = |one: usize, other: usize| queues[one].1 * (shares[other] + 1);
            due(*a, *b).cmp(&due(*b, *a))
        })?;
        shares[neediest] += 1;
    }
    Some(queues.into_iter().zip(shares).map(|((name, _), share)| (name, share)).collect())
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
        let cases: [(&[usize], usize, Option<&[usize]>); 8] = [
            (&[8, 1], 0, Some(&[8, 1])),
            (&[8, 1], 9, Some(&[8, 1])),
            (&[8, 1], 4, Some(&[3, 1])),
            (&[8, 1], 18, Some(&[16, 2])),
            (&[1, 1, 1], 5, Some(&[2, 2, 1])),
            (&[1000, 1, 1], 3, Some(&[1, 1, 1])),
            (&[8], 1, Some(&[1])),
            (&[8, 1], 1, None),
        ];
        for (numbers, workers, expected) in cases {
            let queues = numbers.iter().enumerate().map(|(i, n)| (i.to_string(), *n)).collect();
            let shares = divide(queues, workers)
                .map(|queues| queues.into_iter().map(|(_, n)| n).collect::<Vec<_>>());
            assert_eq!(shares.as_deref(), expected, "{numbers:?} {workers}");
        }
    }
}
