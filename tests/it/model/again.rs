//! The same sales once more, in another shop: split into other requests, and in another order where
//! that may make no difference (I-14, I-15).

use super::commands::{History, Sale};
use super::stage::{Came, Stage};
use crate::sales::PATH;
use crate::ventes::Shop;

/// Sends them; the shop that sold them.
pub(super) async fn sell_again(
    stage: &mut Stage,
    history: &History,
    mut sales: Vec<(usize, Sale)>,
) -> Shop {
    let shop = Shop::open(&stage.db).await;
    for (index, swaps) in (1..sales.len()).zip(history.swaps.iter().cycle()) {
        if *swaps && sales[index].1.commutes_with(&sales[index - 1].1) {
            sales.swap(index, index - 1);
        }
    }
    let of_one = sales.chunk_by(|a, b| a.0 == b.0);
    for (number, batch) in of_one.flat_map(|sales| sales.chunks(history.split)).enumerate() {
        let body: Vec<_> = batch.iter().map(|(_, sale)| sale.json(&shop)).collect();
        let request = stage.http.post(stage.url(PATH));
        let request = request.header("X-Device-Serial", format!("s{}-{}", shop.id, batch[0].0));
        let request = request.header("Idempotency-Key", format!("encore-{}-{number}", shop.id));
        let request = request.body(format!("[{}]", body.join(",")));
        let (came, _) = stage.send(request, false, None, async {}).await;
        assert!(matches!(came, Came::Whole(answer) if answer.status == 201), "{body:?}");
    }
    shop
}
