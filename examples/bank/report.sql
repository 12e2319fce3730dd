SELECT account_id, holder, COUNT(*) AS overdrafts, MAX(overdrawn_by) AS at_worst, MAX(made_at) AS last_at
FROM overdrafts
GROUP BY account_id, holder
ORDER BY at_worst DESC, account_id
LIMIT 10;
