// Each sample opens in its own tab, so that Ctrl-Enter never has to ask which
// operation to run.
export const samples = [
  {
    query: `# A page of listings, each with the user who owns it.
# Press Ctrl-Enter to run it; pageNum: 2 is the next page.
query Listings {
  listings(pageNum: 1, pageSize: 10) {
    id
    listingType
    # in whole units of the currency
    price
    # microseconds since 1970-01-01 UTC
    createdAt
    user {
      id
      name
    }
  }
}
`,
  },
  {
    query: `# A page of users, each with up to three of their listings.
query Users {
  users(pageNum: 1, pageSize: 10) {
    id
    name
    listings(first: 3) {
      id
      listingType
      price
    }
  }
}
`,
  },
  {
    query: `# The listings of one user. The id is a variable:
# change it in the Variables pane below.
query ListingsOfUser($userId: ID!) {
  listings(userId: $userId) {
    id
    listingType
    price
  }
}
`,
    variables: JSON.stringify({ userId: '1' }, null, 2),
  },
  {
    query: `# One listing and one user by id, in one request. An
# unknown id returns null, not an error.
query ById($listingId: ID!, $userId: ID!) {
  listing(id: $listingId) {
    listingType
    price
    user {
      name
    }
  }
  user(id: $userId) {
    name
    createdAt
  }
}
`,
    variables: JSON.stringify({ listingId: '1', userId: '1' }, null, 2),
  },
  {
    query: `# Creates a user and returns its id.
mutation CreateUser($input: CreateUserInput!) {
  createUser(input: $input) {
    user {
      id
      name
      createdAt
    }
  }
}
`,
    variables: JSON.stringify({ input: { name: 'Ada' } }, null, 2),
  },
  {
    query: `# Creates a listing for an existing user.
# listingType is RENT or SALE.
mutation CreateListing($input: CreateListingInput!) {
  createListing(input: $input) {
    listing {
      id
      listingType
      price
      user {
        name
      }
    }
  }
}
`,
    variables: JSON.stringify(
      { input: { userId: '1', listingType: 'RENT', price: 4000 } },
      null,
      2,
    ),
  },
];
