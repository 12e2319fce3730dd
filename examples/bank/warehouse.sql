CREATE TABLE IF NOT EXISTS overdrafts (
    transaction_id VARCHAR(40) NOT NULL,
    account_id     VARCHAR(40) NOT NULL,
    holder         VARCHAR(100),
    amount         DECIMAL(12, 2),
    balance        DECIMAL(12, 2),
    overdrawn_by   DECIMAL(12, 2),
    made_at        TIMESTAMP
) DISTKEY (account_id) SORTKEY (made_at);
