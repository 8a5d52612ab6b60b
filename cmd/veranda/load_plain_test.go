//go:build !race

package main

// expensiveAtOnce is the number of expensive queries at once.
const expensiveAtOnce = 50
