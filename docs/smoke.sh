#!/bin/sh
# A client in shell: sells, sells again, pushes and asks, and says whether the answers are right.
#
#   relais up --demo            # in one terminal
#   sh docs/smoke.sh            # in another; another address is its argument
#
# Needs curl and the demo shop; each run sells three units of article 7, until none is left.

base=${1:-http://127.0.0.1:8000}
run=$(date +%s)-$$
failed=0

# ask TITLE STATUS TEXT [CURL ARGUMENTS]: the answer must have that status and contain that text.
ask() {
    title=$1 status=$2 text=$3
    shift 3
    answer=$(curl --silent --show-error --max-time 30 --write-out '\n%{http_code}' "$@" 2>&1)
    case $answer in
    *"$text"*"
$status") echo "passed  $title" ;;
    *)
        failed=1
        echo "FAILED  $title: not $status with $text, but:"
        echo "$answer"
        ;;
    esac
}

# sell TITLE STATUS TEXT BODY, as the terminal of the demo.
sell() {
    ask "$1" "$2" "$3" "$base/api/v2/simple/ventes/sync/" -H 'Content-Type: application/json' \
        -H 'X-Device-Serial: 0a1badae951f8473' -d "$4"
}

line='"mode_paiement":"CASH","paye":true,"lignes":[{"article_id":7,"quantite":1,"prix_unitaire":25000}]'
sale="{\"numero_facture\":\"SMOKE-$run\",$line}"
foreign="{\"numero_facture\":\"SMOKE-$run-X\",\"lignes\":[{\"article_id\":999999}]}"

ask 'the service is ready' 200 '' "$base/readyz"
sell 'a sale is created' 201 '"reussies":1,"erreurs":0' "[$sale]"
sell 'sent again it is a duplicate' 201 "SMOKE-$run existe déjà" "[$sale]"
sell 'a sale without a number gets one' 201 '"numero_facture":"VENTE-2-' "[{$line}]"
sell 'a sale in error stops no other' 201 '"reussies":1,"erreurs":1' "[$foreign,{$line}]"
sell 'an object is no array' 400 '"code":"INVALID_FORMAT"' '{}'
ask 'a terminal says who it is' 400 '"code":"MISSING_SERIAL"' \
    -X POST "$base/api/v2/simple/ventes/sync/" -d '[]'
ask 'the history has the sale' 200 "SMOKE-$run" \
    "$base/api/v2/simple/ventes/historique/" -H 'X-Device-Serial: 0a1badae951f8473'
ask 'there are figures' 200 '"success":true' \
    "$base/api/v2/simple/statistiques/" -H 'X-Device-Serial: 0a1badae951f8473'

uuid() { od -An -N16 -tx1 /dev/urandom | tr -d ' \n' | sed 's/\(.\{8\}\)\(.\{4\}\).\(.\{3\}\).\(.\{3\}\)/\1-\2-4\3-8\4-/'; }
ticket="{\"type\":\"ticket\",\"id\":\"$(uuid)\",\"op\":\"upsert\",\"updated_at\":\"2026-01-31T10:00:00Z\",
    \"data\":{\"numero\":\"SMOKE-$run\",\"statut\":\"ouvert\",\"ouvert_le\":\"2026-01-31T09:00:00Z\"}}"
push="{\"batch_id\":\"$(uuid)\",\"schema_version\":1,\"entities\":[$ticket]}"
for title in 'a site pushes a ticket' 'the batch again is the same answer'; do
    ask "$title" 200 '"status":"created"' "$base/api/v1/sync/push" \
        -H 'Content-Type: application/json' -H 'X-API-Key: site1.relais-demo-site-key' -d "$push"
done
ask 'a push without a key is refused' 401 '' -X POST "$base/api/v1/sync/push" -d "$push"
ask 'documents have their figures' 200 '"sync_percentage":' \
    "$base/api/v1/sync/status" -H 'X-API-Key: demo.relais-demo-admin-key'

[ "$failed" = 0 ] && echo 'all passed'
exit "$failed"
