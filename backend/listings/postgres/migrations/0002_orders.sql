-- With those of 0001, an index for each order: over all, of one user, of one
-- type. Either direction of an order reads the same index.
CREATE INDEX listings_by_type ON listings (listing_type, created_at DESC, id DESC);
CREATE INDEX listings_by_price ON listings (price, id);
CREATE INDEX listings_by_user_price ON listings (user_id, price, id);
CREATE INDEX listings_by_type_price ON listings (listing_type, price, id);
